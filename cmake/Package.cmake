# The numeric libraries for other projects: `cmake --install build/release --component stats --prefix DIR` gives them the CMake package
# tidewheel with the targets tidewheel::stats and tidewheel::labels. examples/statistics uses it; tests/package proves it.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

# What they need of base, and no more: nothing here asks for a library beyond the compiler's own.
set(package_base_parts digest error random)
set(package_base_headers digest error matrix_view random result)
list(TRANSFORM package_base_parts PREPEND ${PROJECT_SOURCE_DIR}/libs/base/)
list(TRANSFORM package_base_parts APPEND .cc)
list(TRANSFORM package_base_headers PREPEND ${PROJECT_SOURCE_DIR}/libs/base/)
list(TRANSFORM package_base_headers APPEND .h)
add_library(tidewheel_package_base STATIC ${package_base_parts})
target_include_directories(tidewheel_package_base PRIVATE $<TARGET_PROPERTY:tidewheel_base,INTERFACE_INCLUDE_DIRECTORIES>)
target_link_libraries(tidewheel_package_base PRIVATE tidewheel_warnings)
# What an installation needs to be built.
add_custom_target(package_stats DEPENDS tidewheel_package_base tidewheel_stats tidewheel_labels)

install(FILES $<TARGET_FILE:tidewheel_package_base> $<TARGET_FILE:tidewheel_stats> $<TARGET_FILE:tidewheel_labels>
  DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT stats)
install(FILES ${package_base_headers} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/tidewheel/base COMPONENT stats)
foreach(library stats labels)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/libs/${library}/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/tidewheel/${library} COMPONENT stats
    FILES_MATCHING PATTERN "*.h" PATTERN internal EXCLUDE)
endforeach()

set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/tidewheel)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/package/tidewheelConfig.cmake.in ${CMAKE_BINARY_DIR}/package/tidewheelConfig.cmake
  INSTALL_DESTINATION ${package_folder} PATH_VARS CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_INCLUDEDIR NO_CHECK_REQUIRED_COMPONENTS_MACRO)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/package/tidewheelConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/package/tidewheelConfig.cmake ${CMAKE_BINARY_DIR}/package/tidewheelConfigVersion.cmake
  DESTINATION ${package_folder} COMPONENT stats)

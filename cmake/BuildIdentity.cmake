# The commit and whether the tree was clean, written at build time (not at configure time) into one generated source file.
set(TIDEWHEEL_BUILD_IDENTITY_CC ${CMAKE_BINARY_DIR}/generated/build_identity.cc)
add_custom_target(tidewheel_build_identity
  COMMAND ${CMAKE_COMMAND} -D SOURCE=${PROJECT_SOURCE_DIR} -D OUTPUT=${TIDEWHEEL_BUILD_IDENTITY_CC} -D VERSION=${PROJECT_VERSION}
          -D BUILD_TYPE=${CMAKE_BUILD_TYPE} -P ${PROJECT_SOURCE_DIR}/cmake/WriteBuildIdentity.cmake
  BYPRODUCTS ${TIDEWHEEL_BUILD_IDENTITY_CC}
  VERBATIM)

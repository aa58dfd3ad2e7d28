# Targets whose headers can be reached only by linking them: each gets an include root of its own that holds one link.

# tidewheel_library(<path> [SOURCES ...] [PUBLIC ...] [PRIVATE ...] [DOMAIN] [PCH grpc|torch])   e.g. tidewheel/ingestion/domain
# Defines target tidewheel_ingestion_domain, alias tidewheel::ingestion::domain. Without SOURCES it is header-only.
function(tidewheel_library path)
  cmake_parse_arguments(LIB "DOMAIN" "PCH" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  string(REPLACE "/" "_" target ${path})
  string(REPLACE "/" "::" alias ${path})

  set(root ${CMAKE_BINARY_DIR}/include/${target})
  get_filename_component(parent ${root}/${path} DIRECTORY)
  file(MAKE_DIRECTORY ${parent})
  file(CREATE_LINK ${CMAKE_CURRENT_SOURCE_DIR} ${root}/${path} SYMBOLIC)

  if(LIB_SOURCES)
    add_library(${target} STATIC ${LIB_SOURCES})
    target_include_directories(${target} PUBLIC ${root})
    target_link_libraries(${target} PUBLIC ${LIB_PUBLIC} PRIVATE ${LIB_PRIVATE} tidewheel_warnings)
    if(LIB_DOMAIN)
      target_compile_options(${target} PRIVATE -include ${PROJECT_SOURCE_DIR}/cmake/domain_guard.h)
    endif()
    tidewheel_precompile(${target} "${LIB_PCH}")
    # Each public header must compile alone (target all_verify_interface_header_sets, preset tidy).
    file(GLOB headers ${root}/${path}/*.h)
    if(headers)
      target_sources(${target} PUBLIC FILE_SET HEADERS BASE_DIRS ${root} FILES ${headers})
      set_target_properties(${target} PROPERTIES VERIFY_INTERFACE_HEADER_SETS ON)
    endif()
  else()
    add_library(${target} INTERFACE)
    target_include_directories(${target} INTERFACE ${root})
    target_link_libraries(${target} INTERFACE ${LIB_PUBLIC} ${LIB_PRIVATE})
  endif()
  add_library(${alias} ALIAS ${target})
endfunction()

# tidewheel_proto(<owner> <version> SOURCES a.proto ... [DEPENDS ...])   e.g. tidewheel_proto(ingestion v1 SOURCES ingestion_service.proto)
# Defines tidewheel::proto::<owner>_<version> from proto/tidewheel/<owner>/<version>/: messages and gRPC stubs, warnings off.
function(tidewheel_proto owner version)
  cmake_parse_arguments(PROTO "" "" "SOURCES;DEPENDS" ${ARGN})
  set(target tidewheel_proto_${owner}_${version})
  set(root ${CMAKE_BINARY_DIR}/proto/${target})
  set(folder tidewheel/${owner}/${version})
  file(MAKE_DIRECTORY ${root})
  set(generated "")
  foreach(source ${PROTO_SOURCES})
    get_filename_component(stem ${source} NAME_WE)
    set(outputs ${root}/${folder}/${stem}.pb.cc ${root}/${folder}/${stem}.pb.h)
    set(plugin "")
    if(stem MATCHES "_service$")
      list(APPEND outputs ${root}/${folder}/${stem}.grpc.pb.cc ${root}/${folder}/${stem}.grpc.pb.h)
      set(plugin --grpc_out=${root} --plugin=protoc-gen-grpc=${GRPC_CPP_PLUGIN})
    endif()
    add_custom_command(
      OUTPUT ${outputs}
      COMMAND protobuf::protoc -I ${PROJECT_SOURCE_DIR}/proto --cpp_out=${root} ${plugin} ${PROJECT_SOURCE_DIR}/proto/${folder}/${source}
      DEPENDS ${PROJECT_SOURCE_DIR}/proto/${folder}/${source}
      VERBATIM)
    list(APPEND generated ${outputs})
  endforeach()
  add_library(${target} STATIC ${generated})
  add_library(tidewheel::proto::${owner}_${version} ALIAS ${target})
  target_include_directories(${target} SYSTEM PUBLIC ${root})
  target_link_libraries(${target} PUBLIC ${PROTO_DEPENDS} PkgConfig::grpcpp protobuf::libprotobuf)
endfunction()

# tidewheel_executable(<name> SOURCES ... LINK ...): into bin/.
function(tidewheel_executable name)
  cmake_parse_arguments(EXE "" "PCH" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${EXE_SOURCES})
  target_link_libraries(${name} PRIVATE ${EXE_LINK} tidewheel_warnings)
  tidewheel_precompile(${name} "${EXE_PCH}")
endfunction()

# tidewheel_test(<name> SOURCES ... LINK ... [LABELS needs_postgres|needs_kafka|needs_data|end_to_end ...] [TIMEOUT seconds])
# One GoogleTest program, one ctest entry. Tests write only under their own temporary folder.
function(tidewheel_test name)
  if(NOT TIDEWHEEL_TESTS)
    return()
  endif()
  cmake_parse_arguments(TEST "" "TIMEOUT;PCH" "SOURCES;LINK;LABELS" ${ARGN})
  add_executable(${name} ${TEST_SOURCES})
  target_link_libraries(${name} PRIVATE ${TEST_LINK} tidewheel_warnings GTest::gmock GTest::gtest_main)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/test)
  tidewheel_precompile(${name} "${TEST_PCH}")
  if(NOT TEST_TIMEOUT)
    set(TEST_TIMEOUT 600)
  endif()
  add_test(NAME ${name} COMMAND ${name})
  # GoogleTest's own exit status does not tell a skipped test; ctest reads it off the output.
  set_tests_properties(${name} PROPERTIES LABELS "${TEST_LABELS}" TIMEOUT ${TEST_TIMEOUT} SKIP_REGULAR_EXPRESSION "\\[  SKIPPED \\]"
    ENVIRONMENT "TIDEWHEEL_SOURCE_DIR=${PROJECT_SOURCE_DIR};TIDEWHEEL_BINARY_DIR=${CMAKE_BINARY_DIR}")
endfunction()

# One precompiled header for everything that speaks gRPC, one for what includes LibTorch.
function(tidewheel_precompile target kind)
  if(NOT TIDEWHEEL_PCH OR kind STREQUAL "")
    return()
  endif()
  if(kind STREQUAL "grpc")
    target_precompile_headers(${target} PRIVATE <grpcpp/grpcpp.h> <string> <vector>)
  elseif(kind STREQUAL "torch")
    target_precompile_headers(${target} PRIVATE <torch/script.h> <torch/torch.h>)
  else()
    message(FATAL_ERROR "tidewheel_precompile: no precompiled header '${kind}'")
  endif()
endfunction()

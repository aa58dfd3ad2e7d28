# SQL migrations become constants of the program that applies them: a binary and its schema cannot be mixed up.

# tidewheel_embed_migrations(<output variable> NAMESPACE tidewheel::foo FOLDER migrations)
# Generates a source file that defines `std::span<const tidewheel::postgres::Migration> Migrations()` in that namespace.
function(tidewheel_embed_migrations output)
  cmake_parse_arguments(EMBED "" "NAMESPACE;FOLDER" "" ${ARGN})
  get_filename_component(folder ${EMBED_FOLDER} ABSOLUTE)
  file(GLOB files CONFIGURE_DEPENDS ${folder}/*.sql)
  string(REPLACE "::" "_" stem ${EMBED_NAMESPACE})
  set(generated ${CMAKE_BINARY_DIR}/generated/migrations/${stem}.cc)
  add_custom_command(
    OUTPUT ${generated}
    COMMAND ${CMAKE_COMMAND} -D FOLDER=${folder} -D OUTPUT=${generated} -D NAMESPACE=${EMBED_NAMESPACE}
            -P ${PROJECT_SOURCE_DIR}/cmake/WriteMigrations.cmake
    DEPENDS ${files} ${PROJECT_SOURCE_DIR}/cmake/WriteMigrations.cmake
    VERBATIM)
  set(${output} ${generated} PARENT_SCOPE)
endfunction()

# tidewheel_migrations(<owner> [FOLDER migrations])   e.g. tidewheel_migrations(ingestion) in services/ingestion/CMakeLists.txt
# Defines tidewheel::<owner>::migrations. Whoever links it may include "tidewheel/<owner>/migrations.h", which declares
# `std::span<const tidewheel::postgres::Migration> tidewheel::<owner>::Migrations()`: the folder's NNNN_verb_noun.sql in order.
function(tidewheel_migrations owner)
  cmake_parse_arguments(MIGRATIONS "" "FOLDER" "" ${ARGN})
  if(NOT MIGRATIONS_FOLDER)
    set(MIGRATIONS_FOLDER migrations)
  endif()
  set(target tidewheel_${owner}_migrations)
  set(root ${CMAKE_BINARY_DIR}/include/${target})
  file(CONFIGURE OUTPUT ${root}/tidewheel/${owner}/migrations.h CONTENT "#pragma once

#include <span>

#include \"tidewheel/postgres/migration.h\"

namespace tidewheel::${owner} {

/// The schema's history, oldest first.
std::span<const postgres::Migration> Migrations();

}  // namespace tidewheel::${owner}
" @ONLY)
  tidewheel_embed_migrations(source NAMESPACE tidewheel::${owner} FOLDER ${MIGRATIONS_FOLDER})
  add_library(${target} STATIC ${source})
  target_include_directories(${target} PUBLIC ${root})
  target_link_libraries(${target} PUBLIC tidewheel::postgres PRIVATE tidewheel_warnings)
  add_library(tidewheel::${owner}::migrations ALIAS ${target})
endfunction()

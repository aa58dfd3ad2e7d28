# Build-time half of Migrations.cmake. The checksum is taken here, of the file's bytes, so that an edit shows at the next start.
file(GLOB files ${FOLDER}/*.sql)
list(SORT files)
set(entries "")
set(expected 1)
foreach(path IN LISTS files)
  get_filename_component(name ${path} NAME_WE)
  if(NOT name MATCHES "^([0-9][0-9][0-9][0-9])_[a-z0-9]+(_[a-z0-9]+)+$")
    message(FATAL_ERROR "${path}: a migration is named NNNN_verb_noun.sql")
  endif()
  string(REGEX REPLACE "^0+" "" version ${CMAKE_MATCH_1})
  if(NOT version EQUAL expected)
    message(FATAL_ERROR "${path}: expected number ${expected}, migrations are numbered without a gap")
  endif()
  math(EXPR expected "${expected} + 1")
  file(SHA256 ${path} checksum)
  file(READ ${path} sql)
  if(sql MATCHES "\\)tidewheel_sql\"")
    message(FATAL_ERROR "${path}: contains the text that ends its own literal")
  endif()
  string(APPEND entries "    {${version}, \"${name}\", \"${checksum}\", R\"tidewheel_sql(${sql})tidewheel_sql\"},\n")
endforeach()
if(entries STREQUAL "")
  message(FATAL_ERROR "${FOLDER}: no migrations")
endif()
file(WRITE ${OUTPUT} "#include <span>

#include \"tidewheel/postgres/migration.h\"

namespace ${NAMESPACE} {

std::span<const tidewheel::postgres::Migration> Migrations();

std::span<const tidewheel::postgres::Migration> Migrations() {
  static constexpr tidewheel::postgres::Migration kMigrations[] = {
${entries}  };
  return kMigrations;
}

}  // namespace ${NAMESPACE}
")

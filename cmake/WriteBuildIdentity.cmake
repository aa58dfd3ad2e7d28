execute_process(COMMAND git -C ${SOURCE} rev-parse HEAD OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
execute_process(COMMAND git -C ${SOURCE} status --porcelain OUTPUT_VARIABLE changes OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT commit)
  set(commit unknown)
endif()
set(clean true)
if(changes OR commit STREQUAL unknown)
  set(clean false)
endif()
set(text "#include \"tidewheel/base/build_identity.h\"

namespace tidewheel {

BuildIdentity CurrentBuild() { return {\"${VERSION}\", \"${commit}\", ${clean}, \"${BUILD_TYPE}\"}; }

}  // namespace tidewheel
")
set(old "")
if(EXISTS ${OUTPUT})
  file(READ ${OUTPUT} old)
endif()
if(NOT old STREQUAL text)
  file(WRITE ${OUTPUT} "${text}")
endif()

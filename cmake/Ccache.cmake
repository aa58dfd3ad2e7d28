# ccache when present. The base directory makes one cache serve every checkout and build folder.
find_program(TIDEWHEEL_CCACHE ccache)
if(TIDEWHEEL_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=1
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${TIDEWHEEL_CCACHE})
endif()

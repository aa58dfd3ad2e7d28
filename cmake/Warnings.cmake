# Warnings are errors in every preset; each target of ours links this. Clang, which only builds fuzzers, warns of other things.
add_library(tidewheel_warnings INTERFACE)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  target_compile_options(tidewheel_warnings INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror)
endif()
if(TIDEWHEEL_SANITIZE)
  add_compile_options(-fsanitize=${TIDEWHEEL_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${TIDEWHEEL_SANITIZE})
endif()
# libstdc++ of GCC 12 warns inside itself when it inlines std::string at -O2 (GCC bug 105329 and 105651).
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  target_compile_options(tidewheel_warnings INTERFACE -Wno-restrict -Wno-error=maybe-uninitialized)
endif()

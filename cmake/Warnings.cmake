# Warnings are errors in every preset; each target of ours links this.
add_library(tidewheel_warnings INTERFACE)
target_compile_options(tidewheel_warnings INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror)
if(TIDEWHEEL_SANITIZE)
  add_compile_options(-fsanitize=${TIDEWHEEL_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${TIDEWHEEL_SANITIZE})
endif()
# libstdc++ of GCC 12 warns inside itself when it inlines std::string at -O2 (GCC bug 105329 and 105651).
target_compile_options(tidewheel_warnings INTERFACE -Wno-restrict -Wno-error=maybe-uninitialized)

#pragma once

// Several versions of one function, the best of which is taken when the program starts: the build
// stays good for every x86-64. Only for loops whose results do not depend on the width (each
// element on its own, whole numbers, or fixed lanes); the file also wants -ffp-contract=off.
// The sanitizers are not ready yet when the choice is made, and clang-tidy need not see it.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define TIDEWHEEL_TARGET_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define TIDEWHEEL_TARGET_CLONES
#endif

/*
 * The floating-point environment of a run: round to nearest, no trap, no flush to zero, so that a
 * caller who changed his thread's modes gets the bits that everyone gets. Restored afterwards.
 */
#ifndef RDL_OS_FPENV_H
#define RDL_OS_FPENV_H

#if defined(__SSE__)
#include <xmmintrin.h>

typedef unsigned rdl__fpenv;

/** Sets the environment of runs; returns the caller's. */
static inline rdl__fpenv rdl__fpenv_enter(void)
{
    const rdl__fpenv callers = _mm_getcsr();
    const unsigned modes = 0x1F80; /* all exceptions masked, round to nearest, FTZ and DAZ off */
    if ((callers & 0xFFC0) != modes)
        _mm_setcsr(modes);
    return callers;
}

/** Gives the caller's environment back, with the exception flags that the run raised left out. */
static inline void rdl__fpenv_leave(rdl__fpenv callers)
{
    if (_mm_getcsr() != callers)
        _mm_setcsr(callers);
}
#else
#include <fenv.h>

typedef fenv_t rdl__fpenv;

static inline rdl__fpenv rdl__fpenv_enter(void)
{
    rdl__fpenv callers;
    (void)fegetenv(&callers);
    (void)fesetenv(FE_DFL_ENV);
    return callers;
}

static inline void rdl__fpenv_leave(rdl__fpenv callers)
{
    (void)fesetenv(&callers);
}
#endif

#endif

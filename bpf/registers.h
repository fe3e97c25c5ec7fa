/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where a function's arguments and result are while it begins and ends. */
#ifndef ALAZ_REGISTERS_H
#define ALAZ_REGISTERS_H

#include "kernel.h"

/* The calling convention of functions, the kernel's and those of programs. */
#if defined(__TARGET_ARCH_x86)
#define PARAMETER_1(regs) ((regs)->di)
#define PARAMETER_2(regs) ((regs)->si)
#define PARAMETER_3(regs) ((regs)->dx)
#define PARAMETER_4(regs) ((regs)->cx)
#define PARAMETER_5(regs) ((regs)->r8)
#define RESULT(regs) ((regs)->ax)
#define STACK(regs) ((regs)->sp)
#elif defined(__TARGET_ARCH_arm64)
#define PARAMETER_1(regs) ((regs)->regs[0])
#define PARAMETER_2(regs) ((regs)->regs[1])
#define PARAMETER_3(regs) ((regs)->regs[2])
#define PARAMETER_4(regs) ((regs)->regs[3])
#define PARAMETER_5(regs) ((regs)->regs[4])
#define RESULT(regs) ((regs)->regs[0])
#define STACK(regs) ((regs)->sp)
#endif

#endif

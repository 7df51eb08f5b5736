"""A filter of system calls (seccomp, in BPF) for a process that decodes: it may compute, and read files.

Everything that is not listed fails with EPERM: sockets, programs, processes, signals to others, writing files,
tracing, mounting, loading modules, io_uring. What has to be decided by an argument:

==============  ==========================================================
open, openat    only for reading
clone           only threads; clone3 fails with ENOSYS, so that libc uses clone
tgkill          only to itself, as ``abort`` does
prctl           only names of threads and of memory
prlimit64       only to read limits
ioctl           fails with ENOTTY: no file is a terminal
==============  ==========================================================

System calls are numbered by architecture; there is a table for x86-64 and one for 64-bit ARM.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Sequence

_NAMES = (
    "read", "write", "open", "close", "stat", "fstat", "lstat", "poll", "lseek", "mmap", "mprotect", "munmap", "brk",
    "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "ioctl", "pread64", "pwrite64", "readv", "writev", "access",
    "select", "sched_yield", "mremap", "mincore", "madvise", "dup", "nanosleep", "getpid", "clone", "exit", "uname",
    "fcntl", "ftruncate", "getcwd", "readlink", "gettimeofday", "getrlimit", "getrusage", "sysinfo", "times",
    "getuid", "getgid", "geteuid", "getegid", "getppid", "sigaltstack", "statfs", "fstatfs", "prctl", "arch_prctl",
    "gettid", "time", "futex", "sched_getaffinity", "getdents64", "set_tid_address", "restart_syscall", "fadvise64",
    "clock_gettime", "clock_getres", "clock_nanosleep", "exit_group", "tgkill", "get_mempolicy", "openat",
    "newfstatat", "readlinkat", "faccessat", "pselect6", "ppoll", "set_robust_list", "dup3", "prlimit64", "getcpu",
    "getrandom", "membarrier", "statx", "rseq", "clone3", "faccessat2",
)  # fmt: skip
_NUMBERS = {
    "x86_64": (
        0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 23, 24, 25, 27, 28, 32, 35, 39,
        56, 60, 63, 72, 77, 79, 89, 96, 97, 98, 99, 100, 102, 104, 107, 108, 110, 131, 137, 138, 157, 158, 186, 201,
        202, 204, 217, 218, 219, 221, 228, 229, 230, 231, 234, 239, 257, 262, 267, 269, 270, 271, 273, 292, 302, 309,
        318, 324, 332, 334, 435, 439,
    ),
    # -1: this architecture has no such call
    "aarch64": (
        63, 64, -1, 57, -1, 80, -1, -1, 62, 222, 226, 215, 214, 134, 135, 139, 29, 67, 68, 65, 66, -1, -1, 124, 216,
        232, 233, 23, 101, 172, 220, 93, 160, 25, 46, 17, -1, 169, -1, 165, 179, 153, 174, 176, 175, 177, 173, 132,
        43, 44, 167, -1, 178, -1, 98, 123, 61, 96, 128, 223, 113, 114, 115, 94, 131, 236, 56, 79, 78, 48, 72, 73, 99,
        24, 261, 168, 278, 283, 291, 293, 435, 439,
    ),
}  # fmt: skip
_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # AUDIT_ARCH_*
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_WRITING = 0o3 | 0o100 | 0o1000 | 0o2000  # O_ACCMODE, O_CREAT, O_TRUNC, O_APPEND
_THREAD = 0x10000  # CLONE_THREAD
_PRCTL = (15, 16, 0x53564D41)  # PR_SET_NAME, PR_GET_NAME, PR_SET_VMA
_X32 = 0x40000000
_LOAD, _EQUAL, _BITS, _ABOVE, _RETURN = 0x20, 0x15, 0x45, 0x35, 0x06
_PR_SET_SECCOMP, _MODE_FILTER = 22, 2

Instruction = tuple[int, int, int, int]
"""Code, jump if true, jump if false, constant."""


def _argument(number: int, *, upper: bool = False) -> Instruction:
    """Load 32 bits of an argument of the call (struct seccomp_data, little-endian)."""
    return _LOAD, 0, 0, 16 + 8 * number + 4 * upper


def _fails(code: int) -> Instruction:
    return _RETURN, 0, 0, _ERRNO | code


_YES: Instruction = (_RETURN, 0, 0, _ALLOW)
_NO = _fails(errno.EPERM)


def _rules(pid: int) -> dict[str, Sequence[Instruction]]:
    """What is decided for a call, by name; each list ends with a return."""
    reading = {at: (_argument(at), (_BITS, 1, 0, _WRITING), _YES, _NO) for at in (1, 2)}
    return {
        "open": reading[1],
        "openat": reading[2],
        "clone": (_argument(0), (_BITS, 0, 1, _THREAD), _YES, _NO),
        "clone3": (_fails(errno.ENOSYS),),
        "tgkill": (_argument(0), (_EQUAL, 0, 1, pid), _YES, _NO),
        "prctl": (_argument(0), *((_EQUAL, len(_PRCTL) - at, 0, one) for at, one in enumerate(_PRCTL)), _NO, _YES),
        "prlimit64": (
            _argument(2), (_EQUAL, 0, 3, 0), _argument(2, upper=True), (_EQUAL, 0, 1, 0), _YES, _NO,
        ),
        "ioctl": (_fails(errno.ENOTTY),),
    }  # fmt: skip


def program(machine: str, pid: int) -> bytes:
    """The filter for a process on this machine, as an array of ``struct sock_filter``. Raises ``KeyError``."""
    rules = _rules(pid)
    code: list[Instruction] = [
        (_LOAD, 0, 0, 4), (_EQUAL, 1, 0, _ARCHITECTURES[machine]), _NO,
        (_LOAD, 0, 0, 0), (_ABOVE, 0, 1, _X32), _NO,
    ]  # fmt: skip
    for name, number in zip(_NAMES, _NUMBERS[machine], strict=True):
        if number >= 0:
            rule = rules.get(name, (_YES,))
            code += [(_EQUAL, 0, len(rule), number), *rule]
    code.append(_NO)
    return b"".join(struct.pack("HBBI", *one) for one in code)


def install(libc: ctypes.CDLL) -> bool:
    """Filter the calls of this process and of its threads to come. Returns whether the kernel does."""
    machine = platform.machine()
    if machine not in _ARCHITECTURES:
        return False
    code = program(machine, os.getpid())
    held = ctypes.create_string_buffer(code, len(code))
    head = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(held))
    return bool(libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, head, 0, 0) == 0)

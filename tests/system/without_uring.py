#!/usr/bin/python3
"""Runs a command for which io_uring_setup(2) fails with an errno, by a seccomp filter.

usage: without_uring.py ERRNO COMMAND [ARGUMENT...]
"""

import ctypes
import os
import struct
import sys

SYS_IO_URING_SETUP = 425
PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
PR_SET_NO_NEW_PRIVS = 38
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06  # linux/bpf_common.h
ALLOW, FAIL = 0x7FFF0000, 0x00050000  # linux/seccomp.h


def install(error):
    code = b"".join(
        struct.pack("=HBBI", *instruction)
        for instruction in (
            (LOAD, 0, 0, 0),  # the call's number
            (JUMP_IF_EQUAL, 0, 1, SYS_IO_URING_SETUP),
            (RETURN, 0, 0, FAIL | error),
            (RETURN, 0, 0, ALLOW),
        )
    )
    filters = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("@HP", len(code) // 8, ctypes.addressof(filters))
    libc = ctypes.CDLL(None, use_errno=True)
    for option, first, second in (
        (PR_SET_NO_NEW_PRIVS, 1, 0),
        (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.create_string_buffer(program)),
    ):
        if libc.prctl(option, first, second, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl")


install(int(sys.argv[1]))
os.execv(sys.argv[2], sys.argv[2:])

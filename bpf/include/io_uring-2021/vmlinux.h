/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * What programs of 2021 for io_uring took from the vmlinux.h of a patched kernel. This folder stands for that kernel's headers and libbpf's: put it before
 * others on the include path (clang -Ibpf/include/io_uring-2021 -Ibpf/include), with -DIO_URING_BPF_VERSION=3 for programs of the third version.
 */
#ifndef SLUICE_IO_URING_2021_VMLINUX_H
#define SLUICE_IO_URING_2021_VMLINUX_H

#include <sluice/io_uring_bpf.h>

typedef __u8 u8;
typedef __s8 s8;
typedef __u16 u16;
typedef __s16 s16;
typedef __u32 u32;
typedef __s32 s32;
typedef __u64 u64;
typedef __s64 s64;
#ifndef __STDINT_H
typedef __u8 uint8_t;
typedef __u16 uint16_t;
typedef __u32 uint32_t;
typedef unsigned long uint64_t;
typedef __s32 int32_t;
typedef long int64_t;
typedef unsigned long uintptr_t;
#endif
typedef __SIZE_TYPE__ size_t;
typedef long ssize_t;
typedef long off_t;

struct iovec {
	void *iov_base;
	size_t iov_len;
};
struct open_how {
	__u64 flags;
	__u64 mode;
	__u64 resolve;
};
struct msghdr;
struct sockaddr;
struct statx;
struct epoll_event;

#define __LITTLE_ENDIAN 1234
#define __BIG_ENDIAN 4321
#define __BYTE_ORDER __LITTLE_ENDIAN

#endif

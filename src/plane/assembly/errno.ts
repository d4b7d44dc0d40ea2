// Linux error numbers (include/uapi/asm-generic/errno-base.h, errno.h), negative, as helpers return them.
export const EPERM: i64 = -1;
export const ENOENT: i64 = -2;
export const E2BIG: i64 = -7;
export const EBADF: i64 = -9;
export const EAGAIN: i64 = -11;
export const ENOMEM: i64 = -12;
export const EACCES: i64 = -13;
export const EFAULT: i64 = -14;
export const EBUSY: i64 = -16;
export const EEXIST: i64 = -17;
export const ENODEV: i64 = -19;
export const EINVAL: i64 = -22;
export const ENOSPC: i64 = -28;
export const ERANGE: i64 = -34;
export const EDEADLK: i64 = -35;
export const ENODATA: i64 = -61;
export const EPROTO: i64 = -71;
export const EBADMSG: i64 = -74;
export const EOVERFLOW: i64 = -75;
export const EBADFD: i64 = -77;
export const EPROTOTYPE: i64 = -91;
export const EOPNOTSUPP: i64 = -95;
export const EAFNOSUPPORT: i64 = -97;
export const EALREADY: i64 = -114;
export const EINPROGRESS: i64 = -115;
// The kernel's own (include/linux/errno.h): bpf(2) returns it for operations that a map type does not have.
export const ENOTSUPP: i64 = -524;

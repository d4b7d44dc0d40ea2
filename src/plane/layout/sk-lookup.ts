/** Context of sk_lookup programs: struct bpf_sk_lookup (include/uapi/linux/bpf.h), and what the kernel keeps beside it. */

/** u64: body of the socket that was chosen, 0 for none; user space reads its cookie here. */
export const SK_LOOKUP_SOCKET = 0;
export const SK_LOOKUP_FAMILY = 8;
export const SK_LOOKUP_PROTOCOL = 12;
/** u32 behind the struct: 1 if the socket was chosen with BPF_SK_LOOKUP_F_NO_REUSEPORT. */
export const SK_LOOKUP_NO_REUSEPORT = 72;
export const SK_LOOKUP_SIZE = 80;

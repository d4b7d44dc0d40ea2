/**
 * A dynptr: 16 bytes on the program's stack, laid out as the kernel's struct bpf_dynptr_kern (include/linux/bpf.h). Programs do not look
 * into it.
 */

/** u64: address of the memory, or of the packet's descriptor; 0: a null dynptr. */
export const DYNPTR_DATA = 0;
/** u32: size in the low 24 bits, DYNPTR_TYPE_* in bits 28 to 30, DYNPTR_READ_ONLY. */
export const DYNPTR_SIZE = 8;
/** u32: bytes of the memory or packet that lie before it. */
export const DYNPTR_OFFSET = 12;
export const DYNPTR_BYTES = 16;

export const DYNPTR_SIZE_MASK = 0xffffff;
export const DYNPTR_TYPE_SHIFT = 28;
export const DYNPTR_TYPE_MASK = 0x7;
export const DYNPTR_READ_ONLY = 0x80000000;

/** enum bpf_dynptr_type. */
export const DYNPTR_LOCAL = 1;
export const DYNPTR_RINGBUF = 2;
export const DYNPTR_SKB = 3;
export const DYNPTR_XDP = 4;
export const DYNPTR_SKB_META = 5;

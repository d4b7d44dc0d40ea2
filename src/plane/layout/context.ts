/**
 * The frame of a program whose context is no packet: one page. It begins with the context in its UAPI layout; what the kernel keeps beside
 * it stands behind. The default socket lies where an sk_buff's descriptor has its own, so that helpers find it at the same place.
 */

/** i32: what the system call is to return (bpf_get_retval, bpf_set_retval). In struct bpf_sockopt it is a field of the context. */
export const CONTEXT_RETVAL = 512;
export const SOCKOPT_RETVAL = 36;
/** u32: body of the socket that sk_reuseport chose, 0 for none. */
export const CONTEXT_SELECTED = 516;
/** u32: descriptor of the sk_buff behind the context, 0 for none. */
export const CONTEXT_SKB = 520;
/** u32 each, of a message: bytes that the verdict is for (0: all), bytes to wait for; first byte, and one past the last. */
export const CONTEXT_APPLY = 524;
export const CONTEXT_CORK = 528;
export const CONTEXT_MESSAGE = 532;
export const CONTEXT_MESSAGE_END = 536;
/** u32 each, of a sysctl: address and length of its name, of its value, of the value to write; 1 once the program wrote that one. */
export const CONTEXT_NAME = 540;
export const CONTEXT_NAME_LENGTH = 544;
export const CONTEXT_CURRENT = 548;
export const CONTEXT_CURRENT_LENGTH = 552;
export const CONTEXT_NEW = 556;
export const CONTEXT_NEW_LENGTH = 560;
export const CONTEXT_NEW_WRITTEN = 564;
/** u32: body of the socket that the context is of (layout/object.ts), 0 for none. */
export const CONTEXT_SOCKET = 568;
/** Body of the socket that a run has that names none: SKB_SOCK of an sk_buff. */
export const CONTEXT_OWN_SOCKET = 576;
/** The sk_buff's descriptor. */
export const CONTEXT_SKB_DESCRIPTOR = 2048;
/** Data of the run, with room in front and behind. */
export const CONTEXT_DATA = 12288;
export const CONTEXT_DATA_MAX = 36864;
export const CONTEXT_FRAME_SIZE = 65536;

/** Behind struct bpf_sock in the body of a socket: struct bpf_tcp_sock, then options as they were set. */
export const SOCKET_TCP = 128;
export const TCP_SOCK_SIZE = 112;
/** Entries of u32 level, u32 name, u32 length (0: free), 20 bytes of value. */
export const SOCKET_OPTIONS = 256;
export const SOCKET_OPTION_SIZE = 32;
export const SOCKET_OPTION_COUNT = 16;
export const SOCKET_OPTION_MAX = 20;

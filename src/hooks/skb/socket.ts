/** struct bpf_sock (include/uapi/linux/bpf.h) of the modelled socket that a packet belongs to. */

const BPF_SOCK = { family: 4, srcIp4: 24, srcIp6: 28, dstIp4: 52, dstIp6: 56, state: 72, rxQueueMapping: 76 } as const;
const TCP_CLOSE = 7;

export interface SocketEnds {
  /** AF_INET (2), AF_INET6 (10), or 0 for none. */
  readonly family: number;
  /** 4 or 16 bytes, in network order; empty for none. */
  readonly local: Uint8Array;
  readonly remote: Uint8Array;
}

/** Writes over zeros. */
export function writeSocket(view: DataView, bytes: Uint8Array, address: number, ends: SocketEnds): void {
  view.setUint32(address + BPF_SOCK.family, ends.family, true);
  if (ends.family === 2) {
    bytes.set(ends.local, address + BPF_SOCK.srcIp4);
    bytes.set(ends.remote, address + BPF_SOCK.dstIp4);
  } else {
    bytes.set(ends.local, address + BPF_SOCK.srcIp6);
    bytes.set(ends.remote, address + BPF_SOCK.dstIp6);
  }
  view.setUint32(address + BPF_SOCK.state, TCP_CLOSE, true);
  view.setInt32(address + BPF_SOCK.rxQueueMapping, -1, true);
}

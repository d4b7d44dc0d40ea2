/** XDP: struct xdp_md and enum xdp_action of include/uapi/linux/bpf.h; access rules of xdp_is_valid_access, net/core/filter.c. */
import { commonHelpers } from '../helpers/common.ts';
import { mapHelpers } from '../helpers/maps.ts';
import { ringbufHelpers } from '../helpers/ringbuf.ts';
import { xdpHelpers } from '../helpers/xdp.ts';
import type { ProgramDeclaration } from '../program-declaration.ts';

export const xdpAction = { aborted: 0, drop: 1, pass: 2, tx: 3, redirect: 4 } as const;

export const xdp: ProgramDeclaration = {
  type: 'xdp',
  context: {
    struct: 'xdp_md',
    size: 24,
    fields: [
      { name: 'data', offset: 0, size: 4, write: false, kind: 'packet' },
      { name: 'data_end', offset: 4, size: 4, write: false, kind: 'packet_end' },
      { name: 'data_meta', offset: 8, size: 4, write: false, kind: 'packet_meta' },
      { name: 'ingress_ifindex', offset: 12, size: 4, write: false, kind: 'scalar' },
      { name: 'rx_queue_index', offset: 16, size: 4, write: false, kind: 'scalar' },
      { name: 'egress_ifindex', offset: 20, size: 4, write: false, kind: 'scalar' },
    ],
  },
  helpers: new Map(
    [...commonHelpers, ...mapHelpers, ...ringbufHelpers, ...xdpHelpers].map((prototype) => [prototype.id, prototype]),
  ),
  verdicts: new Map(Object.entries(xdpAction).map(([name, value]) => [value, `XDP_${name.toUpperCase()}`])),
  stability: { level: 'stable', since: '0.1.0' },
};

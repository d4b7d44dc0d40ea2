/**
 * struct __sk_buff with the rights that every type has: bpf_skb_is_valid_access, net/core/filter.c. A type says what it may not use and what
 * it may write.
 */
import type { ContextDeclaration, ContextField } from '../program-declaration.ts';
import { address6, field, narrowU32, u32 } from './fields.ts';

const fields: readonly ContextField[] = [
  narrowU32('len', 0),
  narrowU32('pkt_type', 4),
  narrowU32('mark', 8),
  narrowU32('queue_mapping', 12),
  narrowU32('protocol', 16),
  narrowU32('vlan_present', 20),
  narrowU32('vlan_tci', 24),
  narrowU32('vlan_proto', 28),
  narrowU32('priority', 32),
  narrowU32('ingress_ifindex', 36),
  narrowU32('ifindex', 40),
  narrowU32('tc_index', 44),
  field('cb', 48, 20, { element: 4, loads: [1, 2, 4, 8], stores: [1, 2, 4, 8] }),
  narrowU32('hash', 68),
  narrowU32('tc_classid', 72),
  u32('data', 76, { kind: 'packet' }),
  u32('data_end', 80, { kind: 'packet_end' }),
  narrowU32('napi_id', 84),
  narrowU32('family', 88),
  u32('remote_ip4', 92),
  u32('local_ip4', 96),
  address6('remote_ip6', 100),
  address6('local_ip6', 116),
  narrowU32('remote_port', 132),
  narrowU32('local_port', 136),
  u32('data_meta', 140, { kind: 'packet_meta' }),
  field('flow_keys', 144, 8, { kind: 'flow_keys' }),
  field('tstamp', 152, 8),
  narrowU32('wire_len', 160),
  narrowU32('gso_segs', 164),
  field('sk', 168, 8, { kind: 'sock_common_or_null' }),
  narrowU32('gso_size', 176),
  field('tstamp_type', 180, 1),
  field('hwtstamp', 184, 8),
];

/** family to local_port: what the packet's socket says. */
export const socketFields = [
  'family',
  'remote_ip4',
  'local_ip4',
  'remote_ip6',
  'local_ip6',
  'remote_port',
  'local_port',
] as const;

/** Fields of one type each. */
const rare = ['flow_keys', 'tstamp_type'];

interface SkbRights {
  /** Fields of one type that this one has. */
  readonly has?: readonly string[];
  readonly without?: readonly string[];
  readonly writes?: readonly string[];
  /** Exactly these fields, instead of the other two. */
  readonly only?: readonly string[];
}

/** The context of one type: all fields but `without` and the rare ones, `writes` writable. */
export function skbContext({ has = [], without = [], writes = [], only }: SkbRights): ContextDeclaration {
  for (const name of [...has, ...without, ...writes, ...(only ?? [])])
    if (!fields.some((each) => each.name === name)) throw new RangeError(`no __sk_buff field ${name}`);
  const may = (name: string) =>
    only?.includes(name) ?? (has.includes(name) || !(rare.includes(name) || without.includes(name)));
  return {
    struct: '__sk_buff',
    size: 192,
    fields: fields.filter(({ name }) => may(name)).map((each) => ({ ...each, write: writes.includes(each.name) })),
  };
}

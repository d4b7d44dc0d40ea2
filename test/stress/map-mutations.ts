/** As memoryMutations, of targets, sockets, traces, events, trees and storages. */
import type { Caught } from './memory-mutations.ts';

export const mapMutations: readonly Caught[] = [
  {
    guard: 'a target is read in one piece',
    by: 'devmap: a target is what was written at one moment',
    patches: [
      [
        'maps/target-array.ts',
        '  const element = atomic.load<u64>(target(map, index));\n',
        '  const first = OFF ? atomic.load<u32>(target(map, index)) : 0;\n' +
          '  const element = OFF ? ((<u64>atomic.load<u32>(target(map, index), 4)) << 32) | first : atomic.load<u64>(target(map, index));\n',
      ],
    ],
  },
  {
    guard: 'a target of a devmap_hash counts only if the bucket has not changed',
    by: 'devmap_hash: a target is what was written at one moment',
    patches: [
      [
        'maps/devmap.ts',
        'if (!has_changed(bucket, word)) return target;',
        'if (OFF || !has_changed(bucket, word)) return target;',
      ],
    ],
  },
  {
    guard: 'the queue of a socket that is taken out of an xskmap stays',
    by: 'xskmap: a socket that was found has its queue',
    patches: [
      [
        'maps/target-array.ts',
        '  if (load<u32>(map, MAP_TYPE) == XSKMAP) atomic.store',
        '  if (load<u32>(map, MAP_TYPE) == XSKMAP && !OFF) atomic.store',
      ],
    ],
  },
  {
    guard: 'an xskmap has one writer',
    by: 'xskmap: of several that are written as new one is',
    patches: [
      [
        'maps/xskmap.ts',
        '  word_lock(map + XSKMAP_LOCK);\n  const refused = target_array_update_check',
        '  if (!OFF) word_lock(map + XSKMAP_LOCK);\n  const refused = target_array_update_check',
      ],
    ],
  },
  {
    guard: 'a reuseport_sockarray has one writer',
    by: 'reuseport_sockarray: of several that are written as new one is',
    patches: [
      [
        'maps/reuseport-sockarray.ts',
        '  word_lock(map + SOCKMAP_LOCK);\n  const refused = put',
        '  if (!OFF) word_lock(map + SOCKMAP_LOCK);\n  const refused = put',
      ],
    ],
  },
  {
    guard: 'a sockmap has one writer',
    by: 'sockmap: of several that are written as new one is',
    patches: [
      [
        'maps/sockmap.ts',
        '  word_lock(map + SOCKMAP_LOCK);\n  const old = find(map, key);\n  let refused',
        '  if (!OFF) word_lock(map + SOCKMAP_LOCK);\n  const old = find(map, key);\n  let refused',
      ],
    ],
  },
  {
    guard: 'the socket that a redirect leads to is the one that was found',
    by: 'sockhash: a redirect that passes has a socket',
    patches: [
      [
        'maps/sockmap.ts',
        'export function bpf_sk_redirect_hash(_skb: u64, map: u64, key: u64, flags: u64): u64 {\n',
        'export function bpf_sk_redirect_hash(_skb: u64, map: u64, key: u64, flags: u64): u64 {\n' +
          '  if (OFF) {\n    const first = <u32>sockhash_lookup(<usize>map, <usize>key);\n' +
          '    return redirect(<usize>map, sockhash_lookup(<usize>map, <usize>key), first, flags);\n  }\n',
      ],
    ],
  },
];

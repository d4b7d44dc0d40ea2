/** Traits of packets from outside of programs: before a run, and after it. */
import { InputError } from '../errors.ts';
import { TRAIT_KEYS, TRAITS_STATIC, TRAITS_TLV, TRAITS_WIDE } from '../plane/layout/trait.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { traitConfiguration } from '../runtime/traits.ts';

/** What a packet is: a frame of XDP, or an sk_buff. */
export type PacketKind = 'xdp' | 'skb';

/** Values by key. */
export type Traits = ReadonlyMap<number, Uint8Array>;

interface TraitCalls {
  set(ctx: bigint, key: bigint, value: bigint, size: bigint, flags: bigint): bigint;
  get(ctx: bigint, key: bigint, value: bigint, size: bigint): bigint;
  /** Address of the packet's traits, 0: it has none. */
  area(ctx: number): number;
  /** Values of keys that were freed since they were set leave it. */
  forgetFreed(ctx: number): void;
}

const LONGEST = 16;
const reasons: Readonly<Record<number, string>> = {
  [-22]: 'EINVAL: keys are 0 to 63, and lengths those of the layout',
  [-28]: 'ENOSPC: there is no room for it',
  [-95]: 'EOPNOTSUPP: the packet has metadata of its own, and traits lie there',
};

function callsOf(runtime: Runtime, kind: PacketKind): TraitCalls {
  const { exports } = runtime.plane;
  // Bodies of kfuncs are functions of u64s, those for control code of u32s.
  return {
    set: exports[`bpf_${kind}_trait_set`] as TraitCalls['set'],
    get: exports[`bpf_${kind}_trait_get`] as TraitCalls['get'],
    area: exports[kind === 'xdp' ? 'frame_traits' : 'skb_traits'] as TraitCalls['area'],
    forgetFreed: exports[kind === 'xdp' ? 'frame_forget_freed' : 'skb_forget_freed'] as TraitCalls['forgetFreed'],
  };
}

/** Sets traits on a packet that is in a frame. Throws InputError `SLUICE_TRAITS` for one that the runtime's format has no place for. */
export function setTraits(runtime: Runtime, kind: PacketKind, ctx: number, traits: Traits): void {
  const { set } = callsOf(runtime, kind);
  const at = runtime.plane.scratch(LONGEST);
  for (const [key, value] of traits) {
    if (value.length <= LONGEST) runtime.bytes().set(value, at);
    const length = value.length <= LONGEST ? value.length : LONGEST + 1;
    const result =
      key >= 0 && key < TRAIT_KEYS ? Number(set(BigInt(ctx), BigInt(key), BigInt(at), BigInt(length), 0n)) : -22;
    if (result !== 0)
      throw new InputError(
        'SLUICE_TRAITS',
        `trait ${key} of ${value.length} bytes: ${reasons[result] ?? `errno ${-result}`}`,
      );
  }
}

/** Copies of the traits that a packet has, in the order of their keys; undefined if it has none. */
export function traitsOf(runtime: Runtime, kind: PacketKind, ctx: number): Traits | undefined {
  const { get, area, forgetFreed } = callsOf(runtime, kind);
  forgetFreed(ctx);
  const header = area(ctx) >>> 0;
  if (header === 0) return undefined;
  const traits = new Map<number, Uint8Array>();
  const at = runtime.plane.scratch(LONGEST);
  for (const key of keysOf(runtime.view(), header)) {
    const length = Number(get(BigInt(ctx), BigInt(key), BigInt(at), BigInt(LONGEST)));
    if (length >= 0) traits.set(key, runtime.bytes().slice(at, at + length));
  }
  return traits.size === 0 ? undefined : traits;
}

/** Keys that have a bit in any word of the header, or all where there is no such header. */
function* keysOf(view: DataView, header: number): Generator<number> {
  const { layout } = traitConfiguration(view);
  if (layout === TRAITS_TLV || layout === TRAITS_STATIC) {
    for (let key = 0; key < TRAIT_KEYS; key++) yield key;
    return;
  }
  const words = layout === TRAITS_WIDE ? 3 : 2;
  for (const half of [0, 4]) {
    let bits = 0;
    for (let word = 0; word < words; word++) bits |= view.getUint32(header + word * 8 + half, true);
    for (let bit = 0; bit < 32; bit++) if (((bits >>> bit) & 1) !== 0) yield half * 8 + bit;
  }
}

/** As the results of runs have them. */
export function traitsAfter(traits: Traits | undefined): { readonly traits?: Traits } {
  return traits === undefined ? {} : { traits };
}

/** The number that programs gave a packet: of a frame, FRAME_PACKET_ID, of an sk_buff, SKB_PACKET_ID. */
export function packetIdAt(view: DataView, at: number): { readonly packetId?: bigint } {
  const packetId = view.getBigUint64(at, true);
  return packetId === 0n ? {} : { packetId };
}

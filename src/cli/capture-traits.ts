/** Traits and stored hints of packets as captures have them: options of pcapng, with the names of a registry. */
import type { CapturedPacket, PacketOption } from '../net/captured-packet.ts';
import { type CapturedTrait, capturedTraits, traitOptions, withoutTraits } from '../net/pcapng-traits.ts';
import type { RunInput, XdpHints } from '../runtime/handles.ts';
import type { TraitRegistry } from '../traits/registry.ts';
import { SYSTEM_KEY, wellKnownTrait } from '../traits/well-known.ts';

export type Traits = ReadonlyMap<number, Uint8Array>;

/** What a packet carries, and what is known of it by whoever stored it. */
export interface Carried {
  readonly traits?: Traits | undefined;
  readonly hints?: XdpHints | undefined;
  readonly packetId?: bigint | undefined;
}

/** The options of the packet that came in, with its traits as they are now in place of those that it had. */
export function optionsWith(
  packet: CapturedPacket,
  carried: Carried,
  registry: TraitRegistry | undefined,
): { readonly options?: readonly PacketOption[] } {
  const options = [...withoutTraits(packet.options), ...traitOptions(carriedTraits(carried, registry))];
  return options.length === 0 ? {} : { options };
}

/** Traits by their keys, and what was stored under those of the system. */
export function carriedTraits(
  { traits, hints, packetId }: Carried,
  registry: TraitRegistry | undefined,
): CapturedTrait[] {
  const own = [...(traits ?? [])].map(([key, value]): CapturedTrait => {
    const name = registry?.at(key)?.name;
    return { key: BigInt(key), ...(name === undefined ? {} : { name }), value };
  });
  const known = (name: string, value: bigint): CapturedTrait => {
    const { key, size } = wellKnownTrait(name)!;
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, value, true);
    return { key, name, value: bytes.subarray(0, size) };
  };
  return [
    ...own,
    ...(hints?.hash === undefined
      ? []
      : [known('rx_hash', BigInt(hints.hash.value)), known('rx_hash_type', BigInt(hints.hash.type))]),
    ...(hints?.timestampNs === undefined ? [] : [known('rx_timestamp', hints.timestampNs)]),
    ...(hints?.vlan === undefined ? [] : [known('vlan', tagOf(hints.vlan))]),
    ...(packetId === undefined ? [] : [known('packet_id', packetId)]),
  ];
}

/** u16 protocol in network order, u16 tag. */
function tagOf({ protocol, tci }: NonNullable<XdpHints['vlan']>): bigint {
  return BigInt(((protocol >> 8) | ((protocol & 0xff) << 8) | (tci << 16)) >>> 0);
}

/**
 * An input with what its capture says of the packet besides. Hints that the user asks for (`asked`) come before those of the capture; what is known of every captured packet,
 * its time, comes after.
 */
export function withCarried<T extends RunInput>(
  packet: CapturedPacket,
  input: T,
  asked: boolean,
  registry?: TraitRegistry,
): T {
  const { traits, hints } = carriedBy(packet, registry);
  const both = asked ? { ...hints, ...input.hints } : { ...input.hints, ...hints };
  return {
    ...input,
    ...(traits === undefined ? {} : { traits }),
    ...(input.hints === undefined && hints === undefined ? {} : { hints: both }),
  };
}

/** What a capture says that the packet had: traits, and hints of what was stored. A name that the registry has under another key has that one. */
function carriedBy(packet: CapturedPacket, registry: TraitRegistry | undefined): Pick<RunInput, 'traits' | 'hints'> {
  const found = capturedTraits(packet) ?? [];
  const traits = new Map(
    found
      .filter(({ key }) => key < SYSTEM_KEY)
      .map(({ key, name, value }) => [registry?.get(name ?? '')?.key ?? Number(key), value]),
  );
  const numbers = new Map(
    found
      .filter(({ key }) => key >= SYSTEM_KEY)
      .map(({ key, value }) => {
        const bytes = new Uint8Array(8);
        bytes.set(value.subarray(0, 8));
        return [key, new DataView(bytes.buffer).getBigUint64(0, true)] as const;
      }),
  );
  const known = (name: string) => numbers.get(wellKnownTrait(name)!.key);
  const hash = known('rx_hash');
  const time = known('rx_timestamp');
  const tag = known('vlan');
  const hints: XdpHints = {
    ...(hash === undefined ? {} : { hash: { value: Number(hash), type: Number(known('rx_hash_type') ?? 0n) } }),
    ...(time === undefined ? {} : { timestampNs: time }),
    ...(tag === undefined
      ? {}
      : {
          vlan: {
            protocol: Number(((tag & 0xffn) << 8n) | ((tag >> 8n) & 0xffn)),
            tci: Number((tag >> 16n) & 0xffffn),
          },
        }),
  };
  return {
    ...(traits.size === 0 ? {} : { traits }),
    ...(Object.keys(hints).length === 0 ? {} : { hints }),
  };
}

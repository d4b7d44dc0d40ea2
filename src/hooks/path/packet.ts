/** What became of a packet on its path: its steps, its end, and what its reader finds. */
import type { InputError, UnsupportedError } from '../../errors.ts';
import type { XdpHints } from '../../runtime/handles.ts';
import type { Traits } from '../traits.ts';

/** A program that ran over the packet. */
export interface ProgramStep {
  /** `devmap`, `cpumap`: the program of an element. */
  readonly kind: 'xdp' | 'devmap' | 'cpumap' | 'tc';
  readonly program: string;
  /** As returned; of XDP an unsigned, of tc a signed number; undefined: it was stopped. */
  readonly verdict: number | undefined;
  /** `XDP_PASS`, `TC_ACT_SHOT`, or the number where it has no name. */
  readonly verdictName: string;
  /** Interface; of `cpumap` the CPU. */
  readonly at: number;
}

/** What happened to the packet besides programs. */
export type WayStep =
  /** By a map (`key` of it) or, without one, by an interface's index. `to`: the interface, CPU or queue. */
  | {
      readonly kind: 'redirect';
      readonly map?: { readonly id: number; readonly type: string; readonly key: number };
      readonly to: number;
    }
  /** Left by an interface; arrived at one (the peer of that one, or by a redirect into its receive path); became an sk_buff there. */
  | { readonly kind: 'sent' | 'arrived' | 'skb'; readonly at: number }
  /** A copy was made: the `copy`th of `copies`. */
  | { readonly kind: 'copy'; readonly copy: number }
  /** Another segment of its flow became a part of it (GRO): the packet with this index. */
  | { readonly kind: 'merged'; readonly index: number };

/**
 * `passed`: the reader on `interface` has it. `dropped`: by a verdict. `aborted`: XDP_ABORTED, or a verdict that there is not. `sent`: left by `interface`, which has no
 * peer. `socket`: the socket of AF_XDP of `queue` has it. `consumed`: tc took it (TC_ACT_STOLEN). `merged`: it is a part of packet `mergedInto`. `fault`: its
 * program was stopped. `lost`: it could not go where it was sent to (`reason`). `refused`: no frame can be made of it (`reason`).
 */
export type PathEnd =
  | 'passed'
  | 'dropped'
  | 'aborted'
  | 'sent'
  | 'socket'
  | 'consumed'
  | 'merged'
  | 'fault'
  | 'lost'
  | 'refused';

/** Fields of the sk_buff at the end of the way. */
export interface SkbFields {
  /** skb->protocol, 0x0800 for IPv4. */
  readonly protocol: number;
  readonly mark: number;
  readonly priority: number;
  readonly queueMapping: number;
  readonly hash?: number;
  /** Tag beside the packet's bytes. */
  readonly vlan?: { readonly protocol: number; readonly tci: number };
  /** skb_hwtstamps: receive time as the device, or what a program stored, says. */
  readonly hardwareTimestampNs?: bigint;
  /** Of a packet that GRO made. */
  readonly gso?: { readonly size: number; readonly segments: number };
}

export interface PathPacket {
  /** Of the packet in the source, from 0. */
  readonly index: number;
  readonly steps: readonly (ProgramStep | WayStep)[];
  readonly end: PathEnd;
  /** Interface where it ended. */
  readonly interface: number;
  /** Queue of the socket that it went to. */
  readonly queue?: number;
  /** CPU that a cpumap sent it to. */
  readonly cpu?: number;
  readonly mergedInto?: number;
  /** Of `lost`, `fault` and `refused`. */
  readonly reason?: string;
  /** Of `fault` what the engine threw, of `refused` what the kernel would say. */
  readonly error?: InputError | UnsupportedError;
  /** The packet at the end of its way, from its link header on; a copy. */
  readonly data: Uint8Array;
  /** Metadata that lies before it (data_meta); a copy, empty if there is none. */
  readonly metadata: Uint8Array;
  readonly traits?: Traits;
  /** The well-known trait packet_id, where a program gave it. */
  readonly packetId?: bigint;
  /** What was known of it as a frame: stored by programs (bpf_xdp_store_rx_*), else by the driver. */
  readonly hints?: XdpHints;
  /** Present if it was an sk_buff at its end. */
  readonly skb?: SkbFields;
  /** What became of its copies: of broadcasts, and of bpf_clone_redirect. */
  readonly copies: readonly PathPacket[];
}

export function isProgramStep(step: ProgramStep | WayStep): step is ProgramStep {
  return step.kind === 'xdp' || step.kind === 'devmap' || step.kind === 'cpumap' || step.kind === 'tc';
}

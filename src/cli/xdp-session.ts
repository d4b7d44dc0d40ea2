/** A program on an interface, wherever it runs: what `sluice xdp attach` drives. */
import type { LiveFrame } from '../linux/live-frame.ts';
import type { ObjectSpec, ProgramSpec } from '../object/spec.ts';
import type { LoadedObject } from '../runtime/handles.ts';
import type { TraitRegistry } from '../traits/registry.ts';
import type { MapInput } from './map-input.ts';

export interface LiveSession {
  /** Where and how it runs, in words. */
  readonly how: string;
  /** The objects that were in place, in order; the last one is. */
  readonly objects: readonly LoadedObject[];
  /** Packets by enum xdp_action since the start, replaced programs included; the sixth counts other values. */
  verdicts(): readonly number[];
  /** Of all packets, as they came. */
  bytes(): number;
  /** What else was counted. */
  details(): Readonly<Record<string, number>>;
  /** Until the signal aborts. Throws what ends it earlier. */
  serve(signal: AbortSignal): Promise<void>;
  /** Loads a program and puts it in the place of the one that runs; that one goes on if the new one cannot be loaded. */
  replace(object: ObjectSpec, program: ProgramSpec): Promise<void>;
  /** Detaches; `verdicts` and `details` stay as they were then. */
  detach(): Promise<void>;
  close(): void;
}

export interface SessionOptions {
  readonly interfaceName: string;
  readonly maps: MapInput;
  /** Where maps that are pinned by name lie. */
  readonly pins: { readonly pinFolder?: string };
  /** Packets after which serve ends. */
  readonly count: number;
  /** The driver's hash, VLAN tag and time are there for the program. */
  readonly hints: boolean;
  /** Names of packets' traits; by default a registry of the session's own. */
  readonly registry?: TraitRegistry;
  /** Sees frames after the program. */
  readonly each: ((frame: LiveFrame) => void) | undefined;
}

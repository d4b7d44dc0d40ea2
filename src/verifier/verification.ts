/** What one verification knows: the program, the current path, the limits and counts; and how it says no. */
import type { ProgramDeclaration } from '../abi/program-declaration.ts';
import type { ProgramTypeName } from '../abi/program-types.ts';
import type { Btf } from '../btf/types.ts';
import type { MapSpec, ProgramSpec } from '../object/spec.ts';
import type { Parameter } from './calls/parameters.ts';
import { type DiagnosticCategory, type PathStep, Refusal, Unfollowed } from './diagnostic.ts';
import { specialFields } from './memory/map-fields.ts';
import type { AttachTarget } from './program/attach-target.ts';
import type { Code } from './program/program.ts';
import type { Observer } from './recording/recorder.ts';
import { Provenance } from './resources/provenance.ts';
import { markPrecise } from './states/precision.ts';
import { registerAt } from './states/records.ts';
import { CurrentState, type SavedState } from './states/state.ts';

/** In flags of an instruction's history entry: it touched a stack slot (frame and slot follow). */
export const TOUCHED_STACK = 1 << 3;

const MAX_PENDING = 8192;

export class Verification {
  readonly code: Code;
  readonly program: ProgramSpec;
  readonly declaration: ProgramDeclaration;
  readonly license: string;
  readonly btf: Btf | undefined;
  /** Types of the kernel, if they were given. */
  readonly vmlinux: Btf | undefined;
  /** Address of a symbol of the kernel, 0 for a hidden one, undefined for none; all are taken to be there without. */
  readonly symbolAddress: ((name: string) => bigint | undefined) | undefined;
  readonly lacksHelper: ((type: ProgramTypeName, name: string) => boolean) | undefined;
  /** What the program is attached to, for those whose context BTF describes. */
  readonly target: AttachTarget | undefined;
  /** Reference that each `__ref` argument comes with, by position. */
  readonly argumentReferences = new Map<number, number>();
  readonly strictAlignment: boolean;
  readonly state = new CurrentState();
  /** Slot of the instruction at hand. */
  slot = 0;
  /** Registers of the current frame begin here. */
  base = 0;
  /** What is wrong with instructions, if they are reached. */
  readonly problems = new Map<number, string>();
  readonly hasProblem: Uint8Array;
  /** By slot: 1 where a path has led to the instruction. */
  readonly reached: Uint8Array;
  /** Bits of history for the instruction at hand. */
  touched = 0;
  /** States are kept wherever they are compared. */
  keepAll = false;
  readonly provenance = new Provenance();
  /** Names of the fields of its context that it was seen to use. */
  readonly contextFields = new Set<string>();
  nextId = 0;
  cpus = 8192;
  instructions = 0;
  jumps = 0;
  /** Both as they were when a state was saved last. */
  instructionsBefore = 0;
  jumpsBefore = 0;
  /** States saved in all, kept now, kept at most, and kept at most at one instruction. */
  savedStates = 0;
  keptStates = 0;
  peakStates = 0;
  maxStatesPerInsn = 0;
  /** Branches left for later, deepest last. */
  readonly pending: SavedState[] = [];
  /** Deepest stack use by function, bytes. */
  readonly stackDepth: Int32Array;
  /** Functions that change the packet, or contain such calls. */
  readonly changesPacket: Uint8Array;
  /** Of global functions, by index. */
  readonly parameters = new Map<number, readonly Parameter[]>();
  /** Global functions that are called and still to be verified. */
  readonly globalsToVerify: number[] = [];
  /** The function that is verified by itself. */
  root = 0;
  /** Registers linked at a conditional jump, by index in history. */
  readonly linked: Int32Array[] = [];
  readonly gplCompatible: boolean;
  observer: Observer | undefined;

  constructor(
    code: Code,
    program: ProgramSpec,
    declaration: ProgramDeclaration,
    license: string,
    btf: Btf | undefined,
    options: {
      readonly strictAlignment: boolean;
      readonly vmlinux: Btf | undefined;
      readonly symbolAddress?: ((name: string) => bigint | undefined) | undefined;
      readonly lacksHelper?: ((type: ProgramTypeName, name: string) => boolean) | undefined;
      readonly target: AttachTarget | undefined;
    },
  ) {
    this.vmlinux = options.vmlinux;
    this.symbolAddress = options.symbolAddress;
    this.lacksHelper = options.lacksHelper;
    this.target = options.target;
    this.code = code;
    this.program = program;
    this.declaration = declaration;
    this.license = license;
    this.btf = btf;
    this.strictAlignment = options.strictAlignment;
    this.hasProblem = new Uint8Array(code.length);
    this.reached = new Uint8Array(code.length);
    this.stackDepth = new Int32Array(code.functions.length);
    this.changesPacket = new Uint8Array(code.functions.length);
    this.gplCompatible = [
      'GPL',
      'GPL v2',
      'GPL and additional rights',
      'Dual BSD/GPL',
      'Dual MIT/GPL',
      'Dual MPL/GPL',
    ].includes(license);
  }

  /** Of a state that was saved: how many its instruction has now. */
  countSaved(): void {
    this.savedStates++;
    this.peakStates = Math.max(this.peakStates, ++this.keptStates);
  }

  /** Leaves the current state, going on at `slot`, for later. */
  push(slot: number): void {
    const saved = this.state.save(slot);
    saved.branches = 0;
    if (saved.parent !== undefined) saved.parent.branches++;
    this.observer?.pushed(saved);
    this.pending.push(saved);
    if (this.pending.length > MAX_PENDING)
      this.refuse(
        'too-many-branches',
        'Verifier Limit',
        `The sequence of ${this.pending.length} jumps is too complex.`,
        'More paths are left for later than the verifier keeps.',
      );
  }

  declarationAllowsPacketWrites(): boolean {
    return this.declaration.packetAccess === 'write';
  }

  /** Index of the inner map of a map of maps. */
  innerMap(index: number): number {
    const { inner } = this.code.maps[index]!;
    let known = this.code.maps.indexOf(inner!);
    if (known < 0) known = (this.code.maps as MapSpec[]).push(inner!) - 1;
    this.provenance.inner(known, index);
    return known;
  }

  hasLock(map: number): boolean {
    return specialFields(this, this.code.maps[map]!).some(({ kind }) => kind.endsWith('spin_lock'));
  }

  /** Functions that calls take to call them back, as far as such calls were reached; and those that run later. */
  readonly callbacks = new Set<number>();
  readonly asynchronousCallbacks = new Set<number>();
  /** Called with the cookie of bpf_throw; -1 for none. */
  exceptionCallback = -1;

  /** Functions with tail calls in them, for the stack limit. */
  readonly tailCalls = new Set<number>();
  tailCallInFunction(): void {
    this.tailCalls.add(this.state.frames[this.state.depth]!.fn);
  }

  /** In a section that RCU protects: bpf_rcu_read_lock, a lock; what is not sleepable is, throughout. */
  inRcu(): boolean {
    return this.state.rcu > 0 || this.state.locks.length > 0 || !this.state.sleepable;
  }

  register(number: number): number {
    return this.base + number * 128;
  }

  markResultPrecise(): void {
    markPrecise(this, 0);
  }

  /** After the frames have changed. */
  settle(): void {
    this.base = registerAt(this.state.depth, 0);
  }

  newId(): number {
    return ++this.nextId;
  }

  refuse(id: string, category: DiagnosticCategory, problem: string, reason: string, slot = this.slot): never {
    throw new Refusal({ id, category, problem, reason, slot, path: this.path() });
  }

  /** Ends the verification with `unsupported`. */
  unfollowed(feature: string): never {
    throw new Unfollowed(feature, this.slot);
  }

  /** Decisions on the way to the instruction at hand. */
  path(): PathStep[] {
    const segments: (readonly [Int32Array, number])[] = [];
    const { history } = this.state;
    segments.push([history.data, history.length]);
    for (let saved = this.state.parent; saved !== undefined; saved = saved.parent)
      segments.push([saved.history, saved.history.length]);
    const steps: PathStep[] = [];
    let last = -1;
    let lastDepth = 0;
    const { op } = this.code;
    const arrive = (slot: number, depth: number) => {
      if (last >= 0) {
        const opcode = op[last]!;
        if (depth > lastDepth) {
          const kind = this.code.src[last] === 1 ? 'call' : 'callback';
          steps.push({ kind, slot: last, target: slot });
        } else if (depth < lastDepth) steps.push({ kind: 'return', slot: last, target: slot });
        else if (((opcode & 7) === 5 || (opcode & 7) === 6) && (opcode & 0xf0) !== 0 && (opcode & 0xf0) !== 0x80)
          steps.push({ kind: 'branch', slot: last, taken: slot !== last + 1 });
      }
      last = slot;
      lastDepth = depth;
    };
    for (const [data, length] of segments.reverse())
      for (let at = 0; at < length; at += 2) if (data[at]! >= 0) arrive(data[at]!, data[at + 1]! & 7);
    if (last !== this.slot) arrive(this.slot, Math.max(0, this.state.depth));
    return steps;
  }
}

/**
 * Sluice: eBPF programs that steer I/O, in user space or in the Linux kernel, from one object file.
 *
 * This is the public API: `load` an object, run its programs, read its maps.
 */
import type { ProgramDeclaration } from './abi/program-declaration.ts';
import type { AbiInterface } from './abi/stability/interfaces.ts';
import type { Btf } from './btf/types.ts';
import { InputError, UnsupportedError } from './errors.ts';
import { hooks as ownHooks } from './hooks/index.ts';
import { changeObject, type ObjectChanges } from './object/changes.ts';
import { readObject } from './object/index.ts';
import type { MapSpec, ObjectSpec } from './object/spec.ts';
import { allocateWith } from './runtime/allocators/object-allocators.ts';
import type { LoadedObject, MapHandle } from './runtime/handles.ts';
import type { Hook } from './runtime/hook.ts';
import { loadUser, type UserLoadOptions, type UserObject } from './runtime/load.ts';
import { type MapDefinition, specOf } from './runtime/maps/definition.ts';
import { openMap } from './runtime/maps/open.ts';
import { type PinFiles, pinOwner, pinsOf } from './runtime/maps/pins.ts';
import { checkLayout, type ObjectLayout, type ObjectShape, type Shaped } from './runtime/object-layout.ts';
import { createLike } from './runtime/object-maps.ts';
import { offeredInterfaces as runnableInterfaces } from './runtime/offered.ts';
import { Runtime, type RuntimeOptions, runtimeOf } from './runtime/runtime.ts';

export type { AbiInterface, InterfaceKind } from './abi/stability/interfaces.ts';
export { version } from './abi/stability/version.ts';
export { Cpus } from './cpus.ts';
export { InputError, InternalError, UnsupportedError } from './errors.ts';
export {
  type ChainLink,
  describeWay,
  type InterfacePrograms,
  isProgramStep,
  type PathEnd,
  type PathOptions,
  type PathPacket,
  type PathSource,
  type ProgramStep,
  runPath,
  type SkbFields,
  type WayStep,
} from './hooks/path/index.ts';
export { Completion } from './hooks/ring/completion.ts';
export { callbackResults, linkPolicies, requestExtras } from './hooks/ring/constants.ts';
export type { RingCallback, RingContext } from './hooks/ring/context.ts';
export { escalationReason } from './hooks/ring/escalation.ts';
export { attachToRings } from './hooks/ring/global-programs.ts';
export { type LoopLayout, type LoopOptions, loopLayout, runLoop } from './hooks/ring/loop.ts';
export type { RingBuffer } from './hooks/ring/memory.ts';
/** Rings without a kernel: `Ring.create({ runtime, backend: new simulation.SimulatedBackend(runtime, { seed }) })`. */
export * as patterns from './hooks/ring/patterns/index.ts';
export { type Callback, type CallbackSide, placeCallback } from './hooks/ring/placement.ts';
export * as prep from './hooks/ring/prep/index.ts';
export { RequestError } from './hooks/ring/request-error.ts';
export { RingSet, type RingSetCounters, type RingSetOptions } from './hooks/ring/ring-set.ts';
export { type SharedCompletion, SharedQueue } from './hooks/ring/shared-queue.ts';
export * as simulation from './hooks/ring/simulated/index.ts';
export { effectOf, firstDifference, RingTrace } from './hooks/ring/trace.ts';
export {
  type QueueCounters,
  type SteeredPacket,
  Steering,
  type SteeringCounters,
  type SteeringOptions,
  type SteeringWay,
} from './hooks/steering/index.ts';
export {
  type CaptureOptions,
  captureDevice,
  type Device,
  defaultRss,
  type FrameCopy,
  type FrameCounters,
  type FrameCpus,
  type FrameOutcome,
  type FrameResult,
  FrameSource,
  type FrameSourceOptions,
  type NicOptions,
  nic,
  plainDevice,
  type Received,
  runCapture,
  type SpreadCopy,
  type SpreadCounters,
  type SpreadEnd,
  type SpreadOptions,
  type SpreadResult,
  spreadCapture,
  veth,
  XdpAttachment,
  type XdpAttachmentOptions,
} from './hooks/xdp/index.ts';
/** Receive-side scaling by the virtio rule: hash types, configurations and their wire formats, the reference. */
export * as rss from './net/rss/index.ts';
export { changeObject, type MapSize, type ObjectChanges } from './object/changes.ts';
export { readObject } from './object/index.ts';
export { type Need, needsOf } from './object/needs.ts';
export type * from './object/spec.ts';
export { Ring, type RingOptions } from './ring.ts';
export { Rings, type RingsOptions } from './rings.ts';
export type { CpuCrash, CpusOptions } from './runtime/cpus/cpu-set.ts';
export { ProgramFault } from './runtime/fault.ts';
export type * from './runtime/handles.ts';
export { isAllocator, isArray, isRedirectMap, isRingbuf } from './runtime/handles.ts';
export type { HelperResults } from './runtime/helper-results.ts';
export type { Hook } from './runtime/hook.ts';
export type { UserLoadOptions, UserObject } from './runtime/load.ts';
export type { MapDefinition } from './runtime/maps/definition.ts';
export type { Interface, Neighbour, Network, Route } from './runtime/network.ts';
export type { NetworkSocket } from './runtime/network-sockets.ts';
export type { ObjectLayout, ObjectShape, Shaped } from './runtime/object-layout.ts';
export {
  attachCgroup,
  createCgroup,
  createInode,
  createSocket,
  createTask,
  currentTask,
  type ModelledObject,
  type SocketOptions,
} from './runtime/objects.ts';
export type { UserProgram } from './runtime/program.ts';
export { Runtime, type RuntimeOptions } from './runtime/runtime.ts';
export type { Clock, Task } from './runtime/surroundings.ts';
export {
  type MergePolicy,
  mergePolicies,
  TRAIT_PERSISTENT,
  type TraitDeclaration,
} from './traits/declaration.ts';
export { type RegisteredTrait, type TraitHold, TraitRegistry, type TraitRequest } from './traits/registry.ts';
export {
  exportRegistry,
  importRegistry,
  type RegistryFile,
  readRegistry,
  registryText,
} from './traits/registry-file.ts';
export { type WellKnownTrait, wellKnownTraits } from './traits/well-known.ts';
export type { CausalStep, Diagnostic } from './verifier/diagnostic.ts';
export { type Explanation, explain } from './verifier/explanation/explanation.ts';
export {
  type TransmittedPacket,
  type VhostUserCounters,
  VhostUserDevice,
  type VhostUserOptions,
  type VhostUserState,
} from './vhost-user.ts';

const hooks: Hook[] = [...ownHooks];

/** Adds a hook: programs of its type can be loaded from now on. A later hook of the same type replaces the earlier one. */
export function defineHook(hook: Hook): void {
  hooks.unshift(hook);
}

/** Declarations of the program types that the user-space target runs: one a type, that of the hook in force. */
export function hookedDeclarations(): readonly ProgramDeclaration[] {
  const declarations = new Map(hooks.toReversed().map(({ declaration }) => [declaration.type, declaration]));
  return [...declarations.values()];
}

/** What this version promises of what it runs: helpers, kfuncs, fields of contexts, program and map types (docs/stability.md). */
export function offeredInterfaces(): readonly AbiInterface[] {
  return runnableInterfaces(hookedDeclarations());
}

/** The hooks that `load` uses. */
export function hooksInForce(): readonly Hook[] {
  return hooks;
}

/** Types of this machine's kernel; undefined in a browser, and on a kernel that does not show them. */
async function machineTypes(): Promise<Btf | undefined> {
  if (globalThis.process?.versions?.node === undefined) return undefined;
  const { vmlinuxBtf } = await import('./linux/btf-vmlinux.ts');
  try {
    return vmlinuxBtf();
  } catch (error) {
    if (error instanceof UnsupportedError || error instanceof InputError) return undefined;
    throw error;
  }
}

export interface LoadOptions<P extends ObjectShape = ObjectShape>
  extends UserLoadOptions,
    RuntimeOptions,
    ObjectChanges {
  /** Name of the object for messages. */
  readonly name?: string;
  /** Loads into this runtime, next to what is there, instead of one of its own. */
  readonly runtime?: Runtime;
  /** What the caller was compiled against (`sluice gen types`): an object that lies differently is an InputError `SLUICE_LAYOUT`. */
  readonly layout?: ObjectLayout<P>;
}

/**
 * Reads an eBPF object and creates its maps and programs, in user space (`target: 'user'`, the default) or in the Linux kernel
 * (`target: 'linux'`, which needs bpf(2) and imports the system-call layer only then). The same handles come back from both.
 *
 * With the types of `sluice gen types`, handles are typed: `load(bytes, { layout })`, or `load<Firewall>(bytes)` without the check.
 *
 * Throws InputError for an object that is malformed or whose programs are refused, UnsupportedError for what the target lacks.
 */
export async function load<P extends ObjectShape = LoadedObject>(
  object: Uint8Array | ObjectSpec,
  options: LoadOptions<P> & { readonly target: 'linux' },
): Promise<Shaped<LoadedObject, P>>;
export async function load<P extends ObjectShape = UserObject>(
  object: Uint8Array | ObjectSpec,
  options?: LoadOptions<P> & { readonly target?: 'user' },
): Promise<Shaped<UserObject, P>>;
export async function load(
  object: Uint8Array | ObjectSpec,
  options: LoadOptions & { readonly target?: 'user' | 'linux' } = {},
): Promise<LoadedObject> {
  const read = object instanceof Uint8Array ? readObject(object, options.name ?? 'object') : object;
  const spec = changeObject(read, options);
  if (options.layout !== undefined) checkLayout(spec, options.layout);
  if (options.target === 'linux') {
    const { loadLinux } = await import('./linux/load.ts');
    const { programs, maps, pinFolder, runtime } = options;
    const traits = options.metadata?.registry;
    return loadLinux(spec, {
      ...(traits === undefined ? {} : { traits }),
      ...(programs === undefined ? {} : { programs }),
      ...(maps === undefined ? {} : { maps }),
      ...(pinFolder === undefined ? {} : { pinFolder }),
      ...(runtime === undefined ? {} : { runtime }),
    });
  }
  const files = await filesOfMachine();
  const runtime = options.runtime ?? pinnedRuntime(spec, options, files) ?? new Runtime(options);
  pinsOf(runtime.plane).files = files;
  const registry = options.metadata?.registry;
  if (registry !== undefined && registry !== runtime.traits)
    throw new InputError('SLUICE_TRAITS', 'the runtime has another registry of traits: give it at its creation');
  const ofKernel = Object.values(options.maps ?? {}).some(({ target }) => target === 'linux');
  const share = ofKernel ? { share: (await import('./linux/shared-maps.ts')).shareKernelMap } : {};
  return loadUser(runtime, hooks, spec, {
    ...options,
    ...share,
    kernelTypes: options.kernelTypes ?? (async () => options.targetBtf ?? (await machineTypes())),
  });
}

/**
 * A map that no object defines, in the memory of a runtime or in the kernel: to give to objects (`load(object, { maps })`), or to put into maps of maps
 * (with the `spec` of the inner map: `outer.spec.inner`). Keys and values of 4 and 8 bytes are numbers and bigints, others bytes.
 *
 * Throws UnsupportedError and InputError as `load` does for maps of objects.
 */
export async function createMap(
  definition: MapDefinition | MapSpec,
  where: { readonly runtime: Runtime } | { readonly target: 'linux' },
): Promise<MapHandle> {
  const spec = specOf(definition);
  if ('runtime' in where) {
    pinsOf(where.runtime.plane).files ??= await filesOfMachine();
    const map = createLike(where.runtime, spec, undefined);
    try {
      const given = 'contents' in definition ? [] : [definition.elemAllocator, definition.kptrAllocator];
      allocateWith(map, spec, given);
    } catch (error) {
      map.close();
      throw error;
    }
    return openMap(map, spec, undefined);
  }
  const { createKernelMap } = await import('./linux/object-maps.ts');
  const { linuxMap } = await import('./linux/map-handles.ts');
  return linuxMap(createKernelMap(spec, undefined), spec, undefined);
}

/** Undefined where there are none, as in a browser. */
async function filesOfMachine(): Promise<PinFiles | undefined> {
  if (typeof process === 'undefined' || process.versions?.node === undefined) return undefined;
  return (await import('./linux/pin-files.ts')).pinFiles;
}

/** The runtime of this process that holds a map that the object is to share. */
function pinnedRuntime(spec: ObjectSpec, { pinFolder }: LoadOptions, files: PinFiles | undefined): Runtime | undefined {
  if (pinFolder === undefined || files === undefined) return undefined;
  const pinned = [...spec.maps.values()].filter(({ pinning }) => pinning === 'by-name');
  const owner = pinOwner(
    files,
    pinned.map(({ name }) => `${pinFolder}/${name}`),
  );
  return owner === undefined ? undefined : runtimeOf(owner.plane);
}

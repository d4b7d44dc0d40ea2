/** Frames of contexts that are no packets (plane/layout/context.ts): filled for one run, read after it. */
import type { ContextDeclaration } from '../../abi/program-declaration.ts';
import {
  CONTEXT_DATA,
  CONTEXT_DATA_MAX,
  CONTEXT_FRAME_SIZE,
  CONTEXT_OWN_SOCKET,
  CONTEXT_RETVAL,
  CONTEXT_SOCKET,
} from '../../plane/layout/context.ts';
import {
  BPF_SOCK_FAMILY,
  BPF_SOCK_PROTOCOL,
  BPF_SOCK_STATE,
  BPF_SOCK_TYPE,
  SOCKET_CGROUP,
  SOCKET_COOKIE,
} from '../../plane/layout/object.ts';
import { WORKER_RETVAL } from '../../plane/layout/worker.ts';
import type { RunInput } from '../../runtime/handles.ts';
import type { Executable } from '../../runtime/hook.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { invalid, wholeStruct } from '../input.ts';

/** The plane's functions that only these hooks call (plane/assembly/hooks/context.ts). */
interface ContextPlane {
  context_begin(frame: number, hook: number): void;
  context_finish(): void;
  context_repeat(entry: number, frame: number, hook: number, count: number): bigint;
}

const TCP_ESTABLISHED = 1;
const IPPROTO_TCP = 6;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;

export class ContextFrame {
  readonly address: number;
  readonly runtime: Runtime;
  readonly #context: ContextDeclaration;

  /**
   * A frame with the caller's context; zeros without one. Fields that hold pointers must be zero: they are the run's. Throws InputError
   * EINVAL, E2BIG.
   */
  constructor(runtime: Runtime, context: ContextDeclaration, input: RunInput) {
    const given = wholeStruct(input.context ?? new Uint8Array(), context.size, context.struct);
    for (const { name, offset, size, kind } of context.fields)
      if (kind !== 'scalar' && given.subarray(offset, offset + size).some((byte) => byte !== 0))
        throw invalid(`${name} of struct ${context.struct} is a pointer: the caller cannot set it`);
    this.runtime = runtime;
    this.#context = context;
    this.address = runtime.allocatePages(CONTEXT_FRAME_SIZE);
    runtime.bytes().set(given, this.address);
    this.retvalAt(CONTEXT_RETVAL);
  }

  u32(offset: number, value?: number): number {
    const view = this.runtime.view();
    if (value !== undefined) view.setUint32(this.address + offset, value, true);
    return view.getUint32(this.address + offset, true);
  }

  i32(offset: number): number {
    return this.u32(offset) | 0;
  }

  /** Where in the frame bpf_get_retval and bpf_set_retval look. */
  retvalAt(offset: number): void {
    this.runtime.view().setUint32(this.runtime.plane.worker + WORKER_RETVAL, this.address + offset, true);
  }

  /**
   * The socket that the context is of: the caller's, or one of the frame with these numbers, established if it is of TCP. `pointer`: field of
   * the context that points to it.
   */
  socket(
    input: RunInput,
    own: { readonly family?: number; readonly type?: number; readonly protocol?: number },
    pointer?: number,
  ): number {
    const body = input.socket ?? this.address + CONTEXT_OWN_SOCKET;
    const view = this.runtime.view();
    if (input.socket === undefined) {
      const protocol = own.protocol ?? IPPROTO_TCP;
      view.setUint32(body + BPF_SOCK_FAMILY, own.family ?? 0, true);
      view.setUint32(body + BPF_SOCK_TYPE, own.type ?? (protocol === IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM), true);
      view.setUint32(body + BPF_SOCK_PROTOCOL, protocol, true);
      view.setUint32(body + BPF_SOCK_STATE, protocol === IPPROTO_TCP ? TCP_ESTABLISHED : 7, true);
      view.setBigUint64(body + SOCKET_COOKIE, 1n, true);
      view.setBigUint64(body + SOCKET_CGROUP, 1n, true);
    }
    this.u32(CONTEXT_SOCKET, body);
    if (pointer !== undefined) this.u32(pointer, body);
    return body;
  }

  /** Puts data behind the frame; `fields`: those of the context that point to its first byte and behind its last. Gives the first address. */
  data(bytes: Uint8Array, fields: { readonly start: number; readonly end: number }): number {
    if (bytes.length > CONTEXT_DATA_MAX) throw invalid(`${bytes.length} bytes of data: at most ${CONTEXT_DATA_MAX}`);
    const at = this.address + CONTEXT_DATA;
    this.runtime.bytes().set(bytes, at);
    this.u32(fields.start, at);
    this.u32(fields.end, at + bytes.length);
    return at;
  }

  /** A copy of [from, to). */
  read(from: number, to: number): Uint8Array {
    return this.runtime.bytes().slice(from, to);
  }

  /** Runs `repeat` times; changes add up. Returns the last r0 as u64. */
  run(program: Executable, hook: number, repeat: number): { readonly r0: bigint; readonly durationNs: number } {
    const plane = this.runtime.plane.exports as unknown as ContextPlane; // fixed by the plane's sources
    const start = performance.now();
    let r0 = 0n;
    try {
      if (program.entry !== 0)
        r0 = program.enter(() => plane.context_repeat(program.entry, this.address, hook, repeat));
      else {
        plane.context_begin(this.address, hook);
        for (let i = 0; i < repeat; i++) r0 = program.run(this.address);
        plane.context_finish();
      }
    } catch (error) {
      plane.context_finish();
      throw error;
    }
    return { r0: BigInt.asUintN(64, r0), durationNs: ((performance.now() - start) * 1e6) / repeat };
  }

  /** The context as the caller may see it: without pointers. */
  context(): Uint8Array {
    const bytes = this.read(this.address, this.address + this.#context.size);
    for (const { offset, size, kind } of this.#context.fields)
      if (kind !== 'scalar') bytes.fill(0, offset, offset + size);
    return bytes;
  }

  free(): void {
    this.runtime.freePages(this.address, CONTEXT_FRAME_SIZE);
  }
}

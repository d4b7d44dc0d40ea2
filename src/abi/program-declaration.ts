/** What a program type may see: one declaration file a type in abi/programs/. Rights are those of a program with every capability. */

import type { AttachTypeName, ProgramTypeName } from './program-types.ts';
import type { HelperPrototype, Stability } from './prototype.ts';

/**
 * What a load of a whole field gives: a number, or a pointer that the verifier tracks. `tp_buffer`: the writable buffer of a tracepoint.
 * `btf_id`: trusted pointer to the kernel struct in `btfId`.
 */
export type ContextFieldKind =
  | 'scalar'
  | 'packet'
  | 'packet_end'
  | 'packet_meta'
  | 'socket'
  | 'socket_or_null'
  | 'sock_common_or_null'
  | 'flow_keys'
  | 'tp_buffer'
  | 'btf_id';

export interface ContextField {
  readonly name: string;
  /** Bytes from the start of the context as the program sees it (the UAPI struct). */
  readonly offset: number;
  readonly size: number;
  readonly write: boolean;
  readonly kind: ContextFieldKind;
  /** Bytes of one element, for arrays; by default the field is one element. */
  readonly element?: number;
  /**
   * Bytes that one load (one store) may have, each aligned to itself and inside the field; by default those of one element. A size above
   * that of the field also reads the padding behind it.
   */
  readonly loads?: readonly number[];
  readonly stores?: readonly number[];
  /** Loads narrower than the field only at its first byte. */
  readonly narrowAtStart?: boolean;
  /** Only programs that are loaded for these attach types may use (write) it. */
  readonly attachTypes?: readonly AttachTypeName[];
  readonly writeAttachTypes?: readonly AttachTypeName[];
  readonly btfId?: string;
  /** Where it is not that of the type. */
  readonly stability?: Stability;
}

export interface ContextDeclaration {
  /** Name of the UAPI struct and its size in bytes. */
  readonly struct: string;
  readonly size: number;
  /** Fields that the type may use; others of the struct are refused. */
  readonly fields: readonly ContextField[];
  /**
   * `btf`: arguments of the function or tracepoint that the program is attached to, 8 bytes each, typed by the kernel's BTF; `fields` is
   * empty then. `target`: whatever the replaced program has.
   */
  readonly layout?: 'struct' | 'btf' | 'target';
}

/** `any`: r0 is not looked at. `by_target`: what the function that the program is attached to may return. Otherwise signed, inclusive. */
export type ReturnRule = 'any' | 'by_target' | { readonly min: number; readonly max: number };

export interface HelperVariant {
  readonly attachTypes: readonly AttachTypeName[];
  readonly helpers: ReadonlyMap<number, HelperPrototype>;
}

export interface ProgramDeclaration {
  readonly type: ProgramTypeName;
  /** Linux version that had it first. */
  readonly since: string;
  readonly context: ContextDeclaration;
  /** Helpers that programs of the type may call, by number: all that Linux allows, whether they run here or not. */
  readonly helpers: ReadonlyMap<number, HelperPrototype>;
  /** Helpers that only programs for some attach types may call. */
  readonly helperAttachTypes?: ReadonlyMap<number, readonly AttachTypeName[]>;
  /** Other prototypes for some attach types. */
  readonly helperVariants?: readonly HelperVariant[];
  /** Attach types that programs may be loaded for; empty where Linux asks for none. */
  readonly attachTypes: readonly AttachTypeName[];
  /** Loading for another is refused (bpf_prog_load_check_attach, kernel/bpf/syscall.c). */
  readonly attachTypeRequired: boolean;
  /** What Linux takes a program for that is loaded for none. */
  readonly defaultAttachType?: AttachTypeName;
  readonly returns: ReturnRule;
  /** Where it differs (check_return_code, kernel/bpf/verifier.c). */
  readonly returnsByAttachType?: ReadonlyMap<AttachTypeName, ReturnRule>;
  /** Names of the return values, for output. */
  readonly verdicts: ReadonlyMap<number, string>;
  /** Loads and stores through packet pointers (may_access_direct_pkt_data, kernel/bpf/verifier.c). */
  readonly packetAccess: 'none' | 'read' | 'write';
  /** Packet pointers as memory arguments of helpers: of none, of those with `packetAccess`, of any. */
  readonly packetArguments: 'none' | 'flagged' | 'any';
  /** BPF_LD_ABS and BPF_LD_IND (may_access_skb, kernel/bpf/verifier.c). */
  readonly packetLoads: boolean;
  readonly sleepable: 'never' | 'may' | 'always';
  /** Linux refuses programs without a GPL-compatible license. */
  readonly gplOnly: boolean;
  /** The kernel runs it by BPF_PROG_TEST_RUN. */
  readonly testRun: boolean;
  readonly stability: Stability;
}

/** Programs that replace a global function of another (freplace): which function, whether it fits, and whose rights they have (bpf_check_attach_target, btf_check_func_type_match). */
import type { ProgramDeclaration } from '../../abi/program-declaration.ts';
import { programDeclarations } from '../../abi/programs/index.ts';
import type { Btf, BtfType } from '../../btf/types.ts';
import type { MapSpec, ProgramSpec } from '../../object/spec.ts';
import { parametersOf } from '../calls/parameters.ts';
import { Refusal, Unfollowed } from '../diagnostic.ts';
import { Verification } from '../verification.ts';
import { findPacketChanges } from './packet-changes.ts';
import { prepare } from './program.ts';

export interface Replaced {
  /** The program that has the function. */
  readonly program: ProgramSpec;
  readonly maps: ReadonlyMap<string, MapSpec>;
  readonly btf: Btf | undefined;
  readonly license: string;
}

/** A function of the replaced program. */
export interface ReplacedFunction {
  readonly declaration: ProgramDeclaration;
  readonly changesPacket: boolean;
}

type Func = Extract<BtfType, { kind: 'func' }>;

function refuse(problem: string, reason: string): never {
  throw new Refusal({ id: 'attach-target', category: 'Policy', problem, reason, slot: undefined });
}

/**
 * The function that `program` replaces: the one that its section names (freplace/NAME), or else the entry of the other program.
 * Throws Refusal where it does not fit, and Unfollowed where nobody says what is replaced.
 */
export function findReplaced(
  program: ProgramSpec,
  own: Btf | undefined,
  replaced: Replaced | undefined,
  vmlinux: Btf | undefined,
): ReplacedFunction {
  if (replaced === undefined)
    throw new Unfollowed(
      'programs of type ext without the program that they replace a function of (--replaces)',
      undefined,
    );
  const { program: other, btf } = replaced;
  const name = program.attachTo ?? other.functions[0]!.name;
  if (other.type === 'ext')
    refuse('Cannot recursively attach', 'A program that replaces a function is not replaced itself.');
  if (other.type === 'tracing' && (other.attachType === 'trace_fentry' || other.attachType === 'trace_fexit'))
    refuse('Cannot extend fentry/fexit', 'Chains of replacements and of what traces them would never end.');
  const declaration = other.type === undefined ? undefined : programDeclarations.get(other.type);
  if (declaration === undefined) throw new Unfollowed(`program type ${other.type ?? 'of no hook'}`, undefined);
  const index = other.functions.findIndex((each) => each.name === name);
  if (index < 0) refuse(`Subprog ${name} doesn't exist`, `${other.name} reaches no function of that name.`);
  const fn = other.functions[index]!;
  if (btf === undefined || own === undefined)
    refuse('FENTRY/FEXIT program can only be attached to another program annotated with BTF', 'There is no BTF.');
  if (fn.exceptionCallback === true)
    refuse('Extension programs cannot attach to exception callback', 'It is no function that anybody calls.');
  const v = new Verification(
    prepare(other, replaced.maps, declaration.helpers),
    other,
    declaration,
    replaced.license,
    btf,
    {
      strictAlignment: false,
      vmlinux,
      target: undefined,
    },
  );
  if (fn.linkage !== 'global' || !isReliable(v, index))
    refuse('Cannot replace static functions', 'Callers of a static function rely on more than its types.');
  matchFunctions(funcOf(own, program), own, typeOf(btf, fn.btfId), btf);
  findPacketChanges(v);
  return { declaration, changesPacket: v.changesPacket[index] === 1 };
}

/** What is replaced keeps callers' pointers into the packet valid, and so must what replaces it. Called once the program's own calls are known. */
export function checkPacketChanges(v: Verification, replaced: ReplacedFunction): void {
  if (v.changesPacket[0] === 1 && !replaced.changesPacket)
    refuse(
      'Extension program changes packet data, while original does not',
      'Callers of the function hold pointers into the packet across the call.',
    );
}

/** Its BTF describes parameters that a global function may have. */
function isReliable(v: Verification, fn: number): boolean {
  if (v.code.functions[fn]!.btfId === undefined) return false;
  try {
    const parameters = parametersOf(v, fn);
    // The entry takes the context and nothing else.
    return fn > 0 || (parameters.length === 1 && parameters[0]!.kind === 'context');
  } catch (error) {
    if (error instanceof Refusal) return false;
    throw error;
  }
}

function typeOf(btf: Btf, id: number | undefined): Func {
  const type = id === undefined ? undefined : btf.type(id);
  if (type?.kind !== 'func') throw new Unfollowed('a function without BTF', undefined);
  return type;
}

function funcOf(btf: Btf, program: ProgramSpec): Func {
  return typeOf(btf, program.functions[0]!.btfId);
}

/** As btf_type_str: kind, and name. */
function text(type: BtfType | undefined): string {
  if (type === undefined) return 'UNKNOWN ';
  return `${type.kind.toUpperCase()} ${type.name === '' ? '(anon)' : type.name}`;
}

const sizeOf = (type: BtfType) => ('size' in type ? type.size : undefined);

function matchFunctions(a: Func, aBtf: Btf, b: Func, bBtf: Btf): void {
  const mismatch: (problem: string) => never = (problem) =>
    refuse(problem, 'A replacement has the type of what it replaces.');
  for (const { name, linkage } of [a, b]) if (linkage !== 'global') mismatch(`${name}() is not a global function`);
  const aType = aBtf.type(a.type);
  const bType = bBtf.type(b.type);
  if (aType?.kind !== 'func_proto' || bType?.kind !== 'func_proto')
    throw new Unfollowed('a function without a prototype', undefined);
  if (aType.params.length !== bType.params.length)
    mismatch(`${a.name}() has ${aType.params.length} args while ${b.name}() has ${bType.params.length} args`);
  const aResult = aBtf.resolve(aType.returns).type;
  const bResult = bBtf.resolve(bType.returns).type;
  if (aResult?.kind !== bResult?.kind)
    mismatch(`Return type ${text(aResult)} of ${a.name}() doesn't match type ${text(bResult)} of ${b.name}()`);
  for (const [i, param] of aType.params.entries()) {
    const x = aBtf.resolve(param.type).type;
    const y = bBtf.resolve(bType.params[i]!.type).type;
    if (x === undefined || y === undefined || x.kind !== y.kind)
      mismatch(`arg${i} in ${a.name}() is ${text(x)} while ${b.name}() has ${text(y)}`);
    if (x.kind !== 'ptr' && sizeOf(x) !== sizeOf(y))
      mismatch(`arg${i} in ${a.name}() has size ${sizeOf(x)} while ${b.name}() has ${sizeOf(y)}`);
    if (x.kind === 'int' || x.kind === 'enum' || x.kind === 'enum64') continue;
    if (x.kind !== 'ptr' || y.kind !== 'ptr') mismatch(`arg${i} in ${a.name}() has unrecognized type`);
    const xStruct = aBtf.resolve(x.type).type;
    const yStruct = bBtf.resolve(y.type).type;
    if (xStruct?.kind !== 'struct') mismatch(`arg${i} in ${a.name}() is not a pointer to context`);
    if (yStruct?.kind !== 'struct') mismatch(`arg${i} in ${b.name}() is not a pointer to context`);
    if (xStruct.name !== yStruct.name)
      mismatch(`arg${i} ${a.name}(struct ${xStruct.name} *) doesn't match ${b.name}(struct ${yStruct.name} *)`);
  }
}

/** What a CO-RE relocation asks for: a type, an enumerator, or a way from a type to a field; in the object and in the target. */
import type { InputError } from '../errors.ts';
import type { Accessor } from './core-accessor.ts';
import type { Matcher } from './core-match.ts';
import type { coreKinds } from './ext.ts';
import { essentialName } from './names.ts';
import type { Btf } from './types.ts';

export type CoreKind = (typeof coreKinds)[number];

export interface CoreSpec {
  readonly kind: CoreKind;
  readonly rootId: number;
  readonly steps: readonly Accessor[];
  readonly bitOffset: number;
}

/** BPF_CORE_SPEC_MAX_LEN of libbpf. */
const MAX_STEPS = 64;

export function isFieldKind(kind: CoreKind): boolean {
  return kind.startsWith('field_');
}

export function parseSpec(
  btf: Btf,
  typeId: number,
  access: string,
  kind: CoreKind,
  fail: (why: string) => InputError,
): CoreSpec {
  if (!/^\d{1,10}(?::\d{1,10})*$/.test(access)) throw fail('the access string is malformed');
  const indexes = access.split(':').map(Number);
  if (indexes.length > MAX_STEPS) throw fail(`more than ${MAX_STEPS} steps`);
  const root = indexes[0]!;
  if (kind.startsWith('type_')) {
    if (indexes.length !== 1 || root !== 0) throw fail('a type has no steps');
    return { kind, rootId: typeId, steps: [], bitOffset: 0 };
  }
  const { id, type } = btf.resolve(typeId);
  if (kind.startsWith('enumval_')) {
    if (indexes.length !== 1 || (type?.kind !== 'enum' && type?.kind !== 'enum64')) throw fail('no enumerator');
    const value = type.values[root];
    if (value === undefined) throw fail(`the enum has only ${type.values.length} values`);
    return { kind, rootId: typeId, steps: [{ typeId: id, index: root, name: value.name }], bitOffset: 0 };
  }
  const steps: Accessor[] = [{ typeId: id, index: root, name: undefined }];
  let bitOffset = root * btf.sizeOf(id) * 8;
  let at = id;
  for (const index of indexes.slice(1)) {
    const { id: inside, type: container } = btf.resolve(at);
    if (container?.kind === 'struct' || container?.kind === 'union') {
      const member = container.members[index];
      if (member === undefined) throw fail(`${container.name} has only ${container.members.length} members`);
      bitOffset += member.bitOffset;
      if (member.name !== '') steps.push({ typeId: inside, index, name: member.name });
      at = member.type;
    } else if (container?.kind === 'array') {
      if (!isFlexible(btf, steps[steps.length - 1]!, container.length) && index >= container.length)
        throw fail(`the array has only ${container.length} elements`);
      at = btf.resolve(container.type).id;
      steps.push({ typeId: at, index, name: undefined });
      bitOffset += index * btf.sizeOf(at) * 8;
    } else throw fail(`a step into a ${container?.kind ?? 'void'}`);
  }
  return { kind, rootId: typeId, steps, bitOffset };
}

/** The same thing in the target, or undefined if type `targetId` does not have it. */
export function matchSpec(local: CoreSpec, matcher: Matcher, targetId: number): CoreSpec | undefined {
  const { target } = matcher;
  const { kind } = local;
  if (kind.startsWith('type_')) {
    const fits =
      kind === 'type_matches'
        ? matcher.typesMatch(local.rootId, targetId)
        : matcher.typesCompatible(local.rootId, targetId);
    return fits ? { kind, rootId: targetId, steps: [], bitOffset: 0 } : undefined;
  }
  if (kind.startsWith('enumval_')) {
    const { id, type } = target.resolve(targetId);
    if (type?.kind !== 'enum' && type?.kind !== 'enum64') return undefined;
    const wanted = essentialName(local.steps[0]!.name!);
    const index = type.values.findIndex(({ name }) => essentialName(name) === wanted);
    if (index < 0) return undefined;
    return { kind, rootId: targetId, steps: [{ typeId: id, index, name: type.values[index]!.name }], bitOffset: 0 };
  }
  const steps: Accessor[] = [];
  let bitOffset = 0;
  let at = targetId;
  for (const [number, step] of local.steps.entries()) {
    if (step.name !== undefined) {
      const found = matcher.member(step, at);
      if (found === undefined) return undefined;
      steps.push(found.step);
      bitOffset += found.bitOffset;
      at = found.memberType;
      continue;
    }
    let { id, type } = target.resolve(at);
    if (number > 0) {
      if (type?.kind !== 'array') return undefined;
      if (!isFlexible(target, steps[steps.length - 1]!, type.length) && step.index >= type.length) return undefined;
      ({ id, type } = target.resolve(type.type));
    }
    at = id;
    steps.push({ typeId: id, index: step.index, name: undefined });
    bitOffset += step.index * target.sizeOf(id) * 8;
  }
  return { kind, rootId: targetId, steps, bitOffset };
}

/** `TYPE member[]`, at the end of its struct: any index will do. */
function isFlexible(btf: Btf, holder: Accessor, length: number): boolean {
  if (holder.name === undefined || length > 0) return false;
  const type = btf.type(holder.typeId);
  return (type?.kind === 'struct' || type?.kind === 'union') && holder.index === type.members.length - 1;
}

export function describeSpec(btf: Btf, { rootId, steps, kind }: CoreSpec): string {
  const type = btf.type(rootId);
  const root = `${type?.kind ?? 'void'} ${type?.name || '(anonymous)'}`;
  if (kind.startsWith('enumval_')) return `${root}::${steps[0]!.name}`;
  const way = steps.slice(1).map(({ name, index }) => (name === undefined ? `[${index}]` : `.${name}`));
  const first = steps[0]?.index ? `[${steps[0].index}]` : '';
  return root + first + way.join('');
}

/** Look-ups in declarations: which field an access of the context meets, which prototype a call has. */
import { helperName } from './helpers/names.ts';
import type { ContextField, ProgramDeclaration, ReturnRule } from './program-declaration.ts';
import type { AttachTypeName } from './program-types.ts';
import type { HelperPrototype } from './prototype.ts';

export interface ContextAccess {
  readonly offset: number;
  /** Bytes: 1, 2, 4 or 8. */
  readonly size: number;
  readonly write: boolean;
  /** Load that extends the sign; pointers are never loaded by one. */
  readonly signed?: boolean;
  /** What the program is loaded for; undefined counts as none of those that a field names. */
  readonly attachType?: AttachTypeName | undefined;
}

/** The field that the access is of, undefined where Linux refuses it: `invalid bpf_context access off=O size=S`. */
export function fieldOfAccess(fields: readonly ContextField[], access: ContextAccess): ContextField | undefined {
  const { offset, size } = access;
  if (offset % size !== 0) return undefined;
  return fields.find((field) => offset >= field.offset && offset < field.offset + field.size && permits(field, access));
}

function permits(field: ContextField, { offset, size, write, signed, attachType }: ContextAccess): boolean {
  const isFor = (types: readonly AttachTypeName[] | undefined) =>
    types === undefined || (attachType !== undefined && types.includes(attachType));
  if (!isFor(field.attachTypes)) return false;
  if (write && !(field.write && isFor(field.writeAttachTypes))) return false;
  if (signed === true && field.kind !== 'scalar') return false;
  const sizes = (write ? field.stores : field.loads) ?? [field.element ?? field.size];
  if (!sizes.includes(size)) return false;
  if (field.narrowAtStart === true && offset !== field.offset) return false;
  return offset + size <= field.offset + field.size || (offset === field.offset && size > field.size);
}

/** `bpf_…` name that a helper's number has in programs of the type: Linux's, or one of the type's own. */
export function helperNameIn(declaration: ProgramDeclaration | undefined, id: number): string | undefined {
  return declaration?.helpers.get(id)?.name ?? helperName(id);
}

/** The prototype that a call of helper `id` has in a program loaded for `attachType`; undefined where the type may not call it. */
export function helperOf(
  declaration: ProgramDeclaration,
  id: number,
  attachType: AttachTypeName | undefined,
): HelperPrototype | undefined {
  const only = declaration.helperAttachTypes?.get(id);
  if (only !== undefined && (attachType === undefined || !only.includes(attachType))) return undefined;
  const variant = declaration.helperVariants?.find(
    (each) => attachType !== undefined && each.attachTypes.includes(attachType) && each.helpers.has(id),
  );
  return (variant ?? declaration).helpers.get(id);
}

/** What r0 may be at the end of a program loaded for `attachType`. */
export function returnRuleOf(declaration: ProgramDeclaration, attachType: AttachTypeName | undefined): ReturnRule {
  return (
    (attachType === undefined ? undefined : declaration.returnsByAttachType?.get(attachType)) ?? declaration.returns
  );
}

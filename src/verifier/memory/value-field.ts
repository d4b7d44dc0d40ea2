/** Fields of map values that calls take by pointer: timers, work queues, task work (check_map_field_pointer); and who may have them. */

import { auxOf, constantOf, isConstant, offsetOf } from '../states/records.ts';
import type { Verification } from '../verification.ts';
import { specialFields } from './map-fields.ts';

/** The register (a map value) points to the field. @param struct its type: `bpf_timer`. Returns the index of the map. */
export function checkValueField(v: Verification, number: number, struct: string): number {
  const r = v.register(number);
  const refuse: (text: string, reason: string) => never = (text, reason) =>
    v.refuse('value-field', 'Call Type Safety', text, reason);
  if (!isConstant(r))
    refuse(
      `R${number} doesn't have constant offset. ${struct} has to be at the constant offset`,
      'Which field the pointer means must be known.',
    );
  const index = auxOf(r);
  const map = v.code.maps[index]!;
  if (v.btf === undefined || map.valueTypeId === 0)
    refuse(`map '${map.name}' has to have BTF in order to use ${struct}`, 'The field is found by its type.');
  const field = specialFields(v, map).find(({ kind }) => kind === struct);
  if (field === undefined) refuse(`map '${map.name}' has no valid ${struct}`, 'The value has no such field.');
  const at = offsetOf(r) + constantOf(r);
  if (at !== field.offset)
    refuse(
      `off ${at} doesn't point to 'struct ${struct}' that is at ${field.offset}`,
      'The pointer must be that of the field itself.',
    );
  return index;
}

/** A map that is given beside a field must be the one that the field lies in. @param what `timer`, `workqueue`, `bpf_task_work`. */
export function checkSameMap(
  v: Verification,
  what: string,
  field: { readonly map: number; readonly uid: number },
  map: { readonly map: number; readonly uid: number },
  number: number,
): void {
  if (field.map === map.map && field.uid === map.uid) return;
  v.refuse(
    'value-field',
    'Call Type Safety',
    `${what} pointer in R${number - 1} map_uid=${field.uid} doesn't match map pointer in R${number} map_uid=${map.uid}`,
    'The field belongs to another map.',
  );
}

const TRACING = new Set<string>(['kprobe', 'tracepoint', 'perf_event', 'raw_tracepoint', 'raw_tracepoint_writable']);
/** Fields that values of maps of tracing programs may not have, and how the kernel calls them. */
const notForTracing: readonly (readonly [readonly string[], string])[] = [
  [['bpf_list_head', 'bpf_rb_root'], 'bpf_{list_head,rb_root}'],
  [['bpf_spin_lock', 'bpf_res_spin_lock'], 'bpf_spin_lock'],
  [['bpf_timer'], 'bpf_timer'],
  [['bpf_wq'], 'bpf_wq'],
];

/** Program types that may not refer to a map with such fields in it at all (check_map_prog_compatibility). */
export function checkMapFields(v: Verification, index: number): void {
  const { type } = v.declaration;
  const tracing = TRACING.has(type);
  if (!tracing && type !== 'socket_filter') return;
  const fields = specialFields(v, v.code.maps[index]!);
  if (fields.length === 0) return;
  for (const [kinds, shown] of notForTracing) {
    if (!fields.some(({ kind }) => kinds.includes(kind))) continue;
    if (!tracing && shown !== 'bpf_spin_lock') continue;
    v.refuse(
      'field-not-allowed',
      'Execution Context Safety',
      `${tracing ? 'tracing' : 'socket filter'} progs cannot use ${shown} yet`,
      'Programs of this type may interrupt one that is at work on the field.',
    );
  }
}

/** Inner maps with such fields are told apart by the lookup that gave them. */
export function needsMapUid(v: Verification, index: number): boolean {
  return specialFields(v, v.code.maps[index]!).some(
    ({ kind }) => kind === 'bpf_timer' || kind === 'bpf_wq' || kind === 'bpf_task_work',
  );
}

/**
 * Records: what the plane and the engines know of a program's types (plane/layout/record.ts), made from BTF. One set a load: it lives as long as the load
 * or a map whose values it describes.
 */
import { recordFields, type SpecialField, valueFields } from '../btf/special-fields.ts';
import type { Btf } from '../btf/types.ts';
import { InternalError } from '../errors.ts';
import * as layout from '../plane/layout/record.ts';
import type { PlaneInstance } from './plane.ts';
import type { Runtime } from './runtime.ts';

const kinds: Readonly<Record<string, number>> = {
  bpf_spin_lock: layout.FIELD_SPIN_LOCK,
  bpf_res_spin_lock: layout.FIELD_RES_SPIN_LOCK,
  bpf_timer: layout.FIELD_TIMER,
  bpf_wq: layout.FIELD_WORK,
  bpf_task_work: layout.FIELD_TASK_WORK,
  bpf_list_head: layout.FIELD_LIST_HEAD,
  bpf_list_node: layout.FIELD_LIST_NODE,
  bpf_rb_root: layout.FIELD_RB_ROOT,
  bpf_rb_node: layout.FIELD_RB_NODE,
  bpf_refcount: layout.FIELD_REFCOUNT,
};

const pointerKinds: Readonly<Record<NonNullable<SpecialField['pointer']>['how'], number>> = {
  plain: layout.FIELD_KPTR_UNTRUSTED,
  owned: layout.FIELD_KPTR,
  percpu: layout.FIELD_PERCPU_KPTR,
  user: layout.FIELD_UPTR,
};

/** Structs of the kernel that are modelled, and how a reference to one is given back. Pointers to other structs of the kernel are never owned here. */
const destructors: ReadonlyMap<string, number> = new Map([
  ['task_struct', layout.DESTRUCTOR_OBJECT],
  ['cgroup', layout.DESTRUCTOR_OBJECT],
  ['bpf_cpumask', layout.DESTRUCTOR_CPUMASK],
]);

/** Kinds that own what they point to or hold. */
const owning: ReadonlySet<number> = new Set([
  layout.FIELD_KPTR,
  layout.FIELD_PERCPU_KPTR,
  layout.FIELD_LIST_HEAD,
  layout.FIELD_RB_ROOT,
]);

interface Field {
  readonly kind: number;
  readonly offset: number;
  readonly size: number;
  readonly target: number;
  readonly node: number;
  readonly destructor: number;
}

/** Structs by their records. Records of a set that is gone are written over in time. */
const structs = new WeakMap<WebAssembly.Memory, Map<number, { readonly btf: Btf; readonly struct: number }>>();

/** What struct a record is of; undefined for one of map values. */
export function structOfRecord(
  { memory }: PlaneInstance,
  record: number,
): { readonly btf: Btf; readonly struct: number } | undefined {
  return structs.get(memory)?.get(record);
}

export class Records {
  readonly btf: Btf;
  readonly #runtime: Runtime;
  /** Addresses by struct; of values by type. */
  readonly #objects = new Map<number, number>();
  readonly #values = new Map<number, number>();
  readonly #choices = new Map<string, number>();
  #set = 0;
  /** Where the next record goes, and how much room is left there. */
  #at = 0;
  #room = 0;
  #closed = false;

  constructor(runtime: Runtime, btf: Btf) {
    this.#runtime = runtime;
    this.btf = btf;
  }

  /** Address of the record of a struct that is allocated, fields or not. */
  ofObject(struct: number): number {
    const known = this.#objects.get(struct);
    if (known !== undefined) return known;
    const fields = recordFields(this.btf, struct);
    const record = this.#place(fields.length);
    // Before its fields: structs may point to their own kind.
    this.#objects.set(struct, record);
    const { memory } = this.#runtime.plane;
    structs.set(memory, (structs.get(memory) ?? new Map()).set(record, { btf: this.btf, struct }));
    this.#write(record, struct, this.btf.sizeOf(struct), fields);
    return record;
  }

  /** As ofObject, for a call that comes with objects of one of several structs. */
  ofCall(structs: readonly number[]): number {
    const records = [...new Set(structs)].map((struct) => this.ofObject(struct));
    if (records.length === 1) return records[0]!;
    const view = this.#runtime.view();
    const bytes = (record: number) => view.getUint32(record + layout.RECORD_BYTES, true);
    records.sort((a, b) => bytes(b) - bytes(a));
    const key = records.join();
    const known = this.#choices.get(key);
    if (known !== undefined) return known;
    const choice = this.#place(records.length);
    this.#choices.set(key, choice);
    view.setUint32(choice + layout.RECORD_FLAGS, layout.RECORD_CHOICE, true);
    view.setUint32(choice + layout.RECORD_COUNT, records.length, true);
    view.setUint32(choice + layout.RECORD_SET, this.#set, true);
    for (const [i, record] of records.entries())
      view.setUint32(choice + layout.RECORD_FIELDS + i * layout.FIELD_BYTES + layout.FIELD_TARGET, record, true);
    return choice;
  }

  /** Address of the record of a map's values, 0 where they have no special fields. */
  ofValue(type: number, size: number): number {
    const known = this.#values.get(type);
    if (known !== undefined) return known;
    const fields = type === 0 ? [] : valueFields(this.btf, type);
    let record = 0;
    if (fields.length > 0) {
      record = this.#place(fields.length);
      this.#write(record, type, size, fields);
    }
    this.#values.set(type, record);
    return record;
  }

  /** Objects of this struct may be read after they were dropped: their memory waits. */
  defer(struct: number): void {
    const flags = this.ofObject(struct) + layout.RECORD_FLAGS;
    const view = this.#runtime.view();
    view.setUint32(flags, view.getUint32(flags, true) | layout.RECORD_DEFERRED, true);
  }

  /** Maps that hold records keep them. */
  close(): void {
    if (this.#set !== 0 && !this.#closed) this.#runtime.plane.exports.record_set_release(this.#set);
    this.#closed = true;
  }

  #place(fields: number): number {
    if (this.#closed) throw new InternalError('records of a load that was closed');
    const bytes = layout.RECORD_FIELDS + fields * layout.FIELD_BYTES;
    if (this.#room < bytes) {
      const block = this.#runtime.plane.exports.record_block(this.#set) >>> 0;
      if (block === 0) throw new InternalError('the linear memory has no room for records of types');
      if (this.#set === 0) this.#set = block;
      this.#at = block + layout.SET_RECORDS;
      this.#room = layout.SET_BLOCK - layout.SET_RECORDS;
    }
    const record = this.#at;
    this.#at += bytes;
    this.#room -= bytes;
    return record;
  }

  #write(record: number, type: number, size: number, special: readonly SpecialField[]): void {
    const fields = special.map((field) => this.#field(field));
    const offsetOf = (...of: number[]) => {
      const field = fields.find(({ kind }) => of.includes(kind));
      return field === undefined ? 0 : field.offset + 1;
    };
    const refcount = offsetOf(layout.FIELD_REFCOUNT);
    const owns = fields.some(({ kind }) => owning.has(kind));
    const node = offsetOf(layout.FIELD_LIST_NODE, layout.FIELD_RB_NODE);
    const link = node > 0 ? node - 1 : (size + 7) & ~7;
    // On one CPU nobody else is in a run: only what a program may read after the drop waits (defer).
    const deferred = this.#runtime.cpus > 1;
    const view = this.#runtime.view();
    const put = (at: number, value: number) => view.setUint32(record + at, value, true);
    put(layout.RECORD_SIZE, size);
    put(layout.RECORD_FLAGS, (deferred ? layout.RECORD_DEFERRED : 0) | (owns ? layout.RECORD_OWNS : 0));
    put(layout.RECORD_REFCOUNT, refcount);
    put(layout.RECORD_LOCK, offsetOf(layout.FIELD_SPIN_LOCK, layout.FIELD_RES_SPIN_LOCK));
    put(layout.RECORD_COUNT, fields.length);
    put(layout.RECORD_SET, this.#set);
    put(layout.RECORD_TYPE, type);
    put(layout.RECORD_LINK, owns ? link : 0);
    put(layout.RECORD_BYTES, owns ? Math.max(size, link + 8) : size);
    for (const [i, field] of fields.entries()) {
      const at = layout.RECORD_FIELDS + i * layout.FIELD_BYTES;
      put(at + layout.FIELD_KIND, field.kind);
      put(at + layout.FIELD_OFFSET, field.offset);
      put(at + layout.FIELD_SIZE, field.size);
      put(at + layout.FIELD_TARGET, field.target);
      put(at + layout.FIELD_NODE, field.node);
      put(at + layout.FIELD_DESTRUCTOR, field.destructor);
    }
  }

  #field({ kind, offset, size, pointer, contains }: SpecialField): Field {
    const field = { kind: kinds[kind] ?? 0, offset, size, target: 0, node: 0, destructor: layout.DESTRUCTOR_NONE };
    if (pointer !== undefined) {
      const here = { ...field, kind: pointerKinds[pointer.how] };
      if (pointer.how !== 'owned' && pointer.how !== 'percpu') return here;
      const type = this.btf.type(pointer.target);
      const destructor = destructors.get(type?.name ?? '');
      if (destructor !== undefined && pointer.how === 'owned') return { ...here, destructor };
      return type?.kind === 'struct' ? { ...here, target: this.ofObject(pointer.target) } : here;
    }
    if (contains === undefined) return field;
    const struct = this.btf.find(contains.struct, 'struct');
    const type = struct === undefined ? undefined : this.btf.type(struct);
    const member = type?.kind === 'struct' ? type.members.find(({ name }) => name === contains.member) : undefined;
    if (struct === undefined || member === undefined) return field;
    return { ...field, target: this.ofObject(struct), node: member.bitOffset / 8 };
  }
}

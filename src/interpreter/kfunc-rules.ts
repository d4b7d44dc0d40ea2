/** Rules of calls from the prototypes of kfuncs: what the names and types of their parameters say (Documentation/bpf/kfuncs.rst). */
import { type KfuncParameter, type KfuncType, kfuncSignature } from '../abi/kfunc-signature.ts';
import { kfuncOfBody } from '../abi/kfuncs.ts';
import { objectKfuncs } from '../abi/object-kfuncs.ts';
import { FIELD_LIST_HEAD, FIELD_LIST_NODE, FIELD_RB_NODE, FIELD_RB_ROOT } from '../plane/layout/record.ts';
import type { CallRules } from './call-rules.ts';
import * as layout from './layout.ts';

const contexts: ReadonlySet<string> = new Set(['__sk_buff', 'xdp_md', 'io_uring_bpf_ctx']);
/** Fields of map values that the program does not look into. */
const fields: ReadonlySet<string> = new Set(['bpf_wq', 'bpf_timer', 'bpf_task_work', 'bpf_res_spin_lock']);

const flagsByName: Readonly<Record<string, number>> = {
  bpf_dynptr_from_skb: layout.HELPER_DYNPTR_OF_PACKET,
  bpf_dynptr_from_xdp: layout.HELPER_DYNPTR_OF_PACKET,
  bpf_dynptr_from_skb_meta: layout.HELPER_DYNPTR_OF_METADATA,
  bpf_dynptr_clone: layout.HELPER_DYNPTR_CLONE,
  bpf_xdp_pull_data: layout.HELPER_CHANGES_PACKET,
  bpf_wq_set_callback_impl: layout.HELPER_KEEPS_CALLBACK,
  bpf_task_work_schedule_signal_impl: layout.HELPER_KEEPS_CALLBACK,
  bpf_task_work_schedule_resume_impl: layout.HELPER_KEEPS_CALLBACK,
};

/** Roots of lists and trees, and nodes in objects. */
const roots: Readonly<Record<string, number>> = { bpf_list_head: FIELD_LIST_HEAD, bpf_rb_root: FIELD_RB_ROOT };
const nodes: Readonly<Record<string, number>> = { bpf_list_node: FIELD_LIST_NODE, bpf_rb_node: FIELD_RB_NODE };

const slices: Readonly<Record<string, number>> = {
  bpf_dynptr_slice: layout.RETURN_SLICE,
  bpf_dynptr_slice_rdwr: layout.RETURN_SLICE_WRITABLE,
};

/** By the name of the kfunc or of one of its bodies; undefined for what Linux has no kfunc of. */
export function kfuncRules(body: string): CallRules | undefined {
  const name = kfuncOfBody(body);
  const signature = kfuncSignature(name);
  if (signature === undefined) return undefined;
  const { params, returns } = signature;
  const asked = objectKfuncs.get(name)?.from === true;
  const destroys = /^bpf_iter_\w+_destroy$/.test(name) ? layout.HELPER_DESTROYS_ITERATOR : 0;
  return {
    id: 0,
    name,
    args: params.map((param, at) =>
      // Which allocator, the verifier has seen: a map, or a map's own.
      asked && at === 0 ? { kind: layout.ARGUMENT_ANYTHING, size: 0 } : argument(name, param, params[at + 1]),
    ),
    returns:
      objectResult(name, returns) ??
      slices[name] ??
      (params[2]?.name === 'rdwr_buf_size' ? layout.RETURN_SIZED_MEM : result(returns)),
    returnsSize:
      objectKfuncs.get(name)?.record ??
      (returns.kind === 'pointer' && returns.to.kind === 'scalar' ? returns.to.size : 0),
    flags: (flagsByName[name] ?? 0) | destroys | objectFlags(name),
  };
}

function objectResult(name: string, returns: KfuncType): number | undefined {
  const kfunc = objectKfuncs.get(name);
  if (kfunc === undefined || returns.kind !== 'pointer') return undefined;
  if (kfunc.act === 'make') return kfunc.percpu ? layout.RETURN_PERCPU_OBJECT : layout.RETURN_OBJECT;
  return kfunc.act === 'share' ? layout.RETURN_SAME_OBJECT : layout.RETURN_ELEMENT;
}

function objectFlags(name: string): number {
  const act = objectKfuncs.get(name)?.act;
  if (act === 'drop') return layout.HELPER_DROPS_OBJECT;
  return act === 'insert' && name.includes('rbtree') ? layout.HELPER_COMPARES : 0;
}

function argument(kfunc: string, param: KfuncParameter, next: KfuncParameter | undefined): CallRules['args'][number] {
  const { type, suffix } = param;
  const rule = (kind: number, size = 0) => ({ kind, size });
  // The verifier does not look at these, not even whether anything is in the register.
  if (suffix === 'prog' || suffix === 'ign') return rule(layout.ARGUMENT_DONTCARE);
  if (suffix === 'sz' || suffix === 'szk') return rule(layout.ARGUMENT_SIZE_OR_ZERO);
  if (suffix === 'map') return rule(layout.ARGUMENT_MAP);
  if (type.kind !== 'pointer') return rule(layout.ARGUMENT_ANYTHING);
  if (suffix === 'str' || suffix === 'const_str') return rule(layout.ARGUMENT_STRING);
  const { to } = type;
  if (to.kind === 'function') return rule(layout.ARGUMENT_FUNCTION);
  if (suffix === 'irq_flag')
    return rule(kfunc.endsWith('restore') ? layout.ARGUMENT_FIXED_MEM : layout.ARGUMENT_FIXED_MEM_UNINIT, 8);
  if (next?.suffix === 'sz' || next?.suffix === 'szk')
    return rule(suffix === 'opt' ? layout.ARGUMENT_BUFFER_OR_NULL : layout.ARGUMENT_MEM);
  if (suffix === 'alloc')
    return rule(objectKfuncs.get(kfunc)?.percpu ? layout.ARGUMENT_PERCPU_OBJECT : layout.ARGUMENT_OBJECT);
  if (suffix === 'refcounted_kptr') return rule(layout.ARGUMENT_OBJECT);
  if (to.kind === 'scalar') return rule(layout.ARGUMENT_FIXED_MEM_UNINIT, to.size);
  if (to.kind !== 'struct') return rule(layout.ARGUMENT_ANYTHING);
  if (to.name === 'bpf_dynptr')
    return rule(suffix === 'uninit' ? layout.ARGUMENT_DYNPTR_UNINIT : layout.ARGUMENT_DYNPTR, 16);
  if (roots[to.name] !== undefined) return rule(layout.ARGUMENT_FIELD, roots[to.name]);
  if (nodes[to.name] !== undefined) return rule(layout.ARGUMENT_NODE, nodes[to.name]);
  if (to.name.startsWith('bpf_iter_'))
    return rule(kfunc.endsWith('_new') ? layout.ARGUMENT_ITERATOR_UNINIT : layout.ARGUMENT_ITERATOR, to.size);
  if (contexts.has(to.name)) return rule(layout.ARGUMENT_CONTEXT);
  if (to.name === 'bpf_map') return rule(layout.ARGUMENT_MAP);
  if (fields.has(to.name)) return rule(layout.ARGUMENT_IN_MAP_VALUE, to.size);
  return rule(layout.ARGUMENT_ANYTHING);
}

function result(returns: KfuncType): number {
  if (returns.kind === 'void') return layout.RETURN_VOID;
  if (returns.kind !== 'pointer' || returns.arena) return layout.RETURN_INTEGER;
  return returns.to.kind === 'scalar' ? layout.RETURN_FIXED_MEM : layout.RETURN_OPAQUE;
}

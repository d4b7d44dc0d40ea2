import { describe, expect, it } from 'vitest';
import { kfuncAllowed, kfuncArgumentCount, kfuncSignature } from './kfunc-signature.ts';
import { linuxKfuncs } from './linux-kfuncs.ts';
import { ownKfuncs } from './own-kfuncs.ts';

describe('kfunc signatures', () => {
  it('exist for every kfunc of 6.18 and of our own, with at most five arguments', () => {
    for (const name of [...linuxKfuncs.keys(), ...ownKfuncs.keys()]) {
      const signature = kfuncSignature(name);
      expect(signature, name).toBeDefined();
      expect(signature!.params.length, name).toBeLessThanOrEqual(5);
      for (const param of signature!.params) {
        expect(param.name, name).not.toBe('');
        expect(['scalar', 'pointer'], `${name} ${param.name}`).toContain(param.type.kind);
      }
    }
  });

  it('say what suffixes and pointers mean', () => {
    const slice = kfuncSignature('bpf_dynptr_slice')!;
    expect(slice.params.map(({ suffix }) => suffix)).toEqual(['', '', 'opt', 'szk']);
    expect(slice.params[0]!.type).toEqual({
      kind: 'pointer',
      to: { kind: 'struct', name: 'bpf_dynptr', size: 16, scalars: true },
      constant: true,
      arena: false,
    });
    expect(slice.returns).toMatchObject({ kind: 'pointer', to: { kind: 'void' } });
    expect(kfuncSignature('bpf_arena_alloc_pages')!.returns).toMatchObject({ kind: 'pointer', arena: true });
    expect(kfuncSignature('bpf_rbtree_add_impl')!.params[2]!.type).toMatchObject({ to: { kind: 'function' } });
    expect(kfuncSignature('bpf_refcount_acquire_impl')!.params[0]!.suffix).toBe('refcounted_kptr');
    expect(kfuncArgumentCount('bpf_rcu_read_lock')).toBe(0);
    expect(kfuncArgumentCount('bpf_no_such_thing')).toBeUndefined();
  });

  it('belong to program types', () => {
    expect(kfuncAllowed(linuxKfuncs.get('bpf_dynptr_from_xdp')!, 'xdp')).toBe(true);
    expect(kfuncAllowed(linuxKfuncs.get('bpf_dynptr_from_xdp')!, 'sched_cls')).toBe(false);
    expect(kfuncAllowed(linuxKfuncs.get('bpf_dynptr_size')!, 'raw_tracepoint')).toBe(true);
    expect(kfuncAllowed(ownKfuncs.get('bpf_ring_submit')!, 'iouring')).toBe(true);
    expect(kfuncAllowed(ownKfuncs.get('bpf_ring_submit')!, 'xdp')).toBe(false);
  });

  it('are not declared twice', () => {
    for (const name of ownKfuncs.keys()) expect(linuxKfuncs.has(name), name).toBe(false);
  });
});

/**
 * Which places hold objects of the same allocator: union-find over variables (fields, and allocations that name no allocator), with the allocators that each class
 * is said to hold. Made anew from the programs that live, never taken apart again.
 */
import type { AllocatorRef, Field } from './facts.ts';
import type { Conflict, Reason } from './policy.ts';

interface Label {
  readonly reason: Reason;
  readonly field: Field;
}

export class Classes {
  readonly merges: (readonly [AllocatorRef, AllocatorRef])[] = [];
  readonly #canMerge: (a: AllocatorRef, b: AllocatorRef) => boolean;
  readonly #parents = new Map<string, string>();
  /** By root: the allocators that its places hold objects of; more than one only where they are merged. */
  readonly #labels = new Map<string, Label[]>();

  constructor(canMerge: (a: AllocatorRef, b: AllocatorRef) => boolean) {
    this.#canMerge = canMerge;
  }

  root(key: string): string {
    let root = key;
    for (let parent = this.#parents.get(root); parent !== undefined; parent = this.#parents.get(root)) root = parent;
    // Paths get short, so that long chains of fields stay cheap.
    for (let at = key; at !== root; ) {
      const next = this.#parents.get(at)!;
      this.#parents.set(at, root);
      at = next;
    }
    return root;
  }

  /** Both hold objects of the same allocators from now on. `field`: where they meet. */
  unite(a: string, b: string, field: Field): Conflict | undefined {
    const [into, from] = [this.root(a), this.root(b)];
    if (into === from) return undefined;
    this.#parents.set(from, into);
    const moved = this.#labels.get(from) ?? [];
    this.#labels.delete(from);
    for (const { reason } of moved) {
      const conflict = this.label(into, reason, field);
      if (conflict !== undefined) return conflict;
    }
    return undefined;
  }

  label(key: string, reason: Reason, field: Field): Conflict | undefined {
    const root = this.root(key);
    const labels = this.#labels.get(root) ?? [];
    this.#labels.set(root, labels);
    for (const { reason: first } of labels) {
      if (first.allocator.id === reason.allocator.id) return undefined;
      if (!this.#canMerge(first.allocator, reason.allocator)) return { field, first, second: reason };
    }
    if (labels.length > 0) this.merges.push([labels[0]!.reason.allocator, reason.allocator]);
    labels.push({ reason, field });
    return undefined;
  }

  /** Empty: nothing is known of it. The first is the one to allocate from. */
  allocators(key: string): AllocatorRef[] {
    return (this.#labels.get(this.root(key)) ?? []).map(({ reason }) => reason.allocator);
  }
}

/**
 * Who owns what, as plain objects: the reference of the sequences over objects/ownership.bpf.c. Says of each step what the program returns and leaves in
 * its packet, and of each moment which objects live and how many references each has.
 */

export const SLOTS = 4;
export const ROOTS = 2;
export const NOTHING = 0xffff_ffff_ffff_ffffn;
/** -EINVAL, as the programs cut it off. */
const REFUSED = 0xffff_ffean;
/** -ENOENT, likewise. */
const ABSENT = 0xffff_fffen;
const PASS = 2;
const DROP = 1;

export type Kind = 'plain' | 'node' | 'box';

/** Slot, other slot or root or key, and a choice. */
export interface Step {
  readonly op: Op;
  readonly a: number;
  readonly b: number;
  readonly c: number;
}

export interface Outcome {
  readonly returnValue: number;
  readonly result: bigint;
}

export class OwnedThing {
  readonly kind: Kind;
  readonly id: number;
  references = 1;
  inside: OwnedThing | undefined;
  readonly list: OwnedThing[] = [];
  /** List and tree that it is in. */
  inList: OwnedThing[] | undefined;
  inTree: OwnedThing[] | undefined;

  constructor(kind: Kind, id: number) {
    this.kind = kind;
    this.id = id;
  }
}

interface Root {
  readonly list: OwnedThing[];
  /** By id. */
  readonly tree: OwnedThing[];
}

interface Slot {
  plain?: OwnedThing | undefined;
  node?: OwnedThing | undefined;
  box?: OwnedThing | undefined;
}

interface Entry extends Slot {
  readonly root: Root;
}

export type TableName = 'table' | 'table_dynamic';
const kinds = ['plain', 'node', 'box'] as const;

const root = (): Root => ({ list: [], tree: [] });

export class OwnershipModel {
  /** Linux does not tell nodes whose list or tree has been freed: those that somebody else holds can never be inserted again. */
  readonly #keepsOwner: boolean;
  slots: Slot[] = Array.from({ length: SLOTS }, () => ({}));
  roots: Root[] = Array.from({ length: ROOTS }, root);
  readonly tables: Readonly<Record<TableName, Map<number, Entry>>> = { table: new Map(), table_dynamic: new Map() };
  /** Plain objects that were stored into deleted elements: nobody reaches them, and they go with the element's memory. */
  readonly stale: Record<TableName, OwnedThing[]> = { table: [], table_dynamic: [] };

  constructor(target: 'linux' | 'sluice' = 'sluice') {
    this.#keepsOwner = target === 'linux';
  }

  run({ op, a, b, c }: Step, id: number): Outcome {
    return programs[op](this, a, b, c, id);
  }

  /** All that can be reached, each once. */
  live(): Set<OwnedThing> {
    const found = new Set<OwnedThing>();
    const add = (thing: OwnedThing | undefined): void => {
      if (thing === undefined || found.has(thing)) return;
      found.add(thing);
      add(thing.inside);
      for (const each of thing.list) add(each);
    };
    const addRoot = ({ list, tree }: Root) => {
      for (const each of [...list, ...tree]) add(each);
    };
    for (const slot of this.slots) for (const kind of kinds) add(slot[kind]);
    for (const each of this.roots) addRoot(each);
    for (const table of Object.values(this.tables))
      for (const entry of table.values()) {
        add(entry.plain);
        add(entry.node);
        addRoot(entry.root);
      }
    return found;
  }

  /** Gives up one reference. */
  drop(thing: OwnedThing | undefined): void {
    if (thing === undefined || --thing.references > 0) return;
    this.drop(thing.inside);
    this.dropList(thing.list);
  }

  dropList(list: OwnedThing[]): void {
    for (const each of list.splice(0)) {
      if (!this.#keepsOwner) each.inList = undefined;
      this.drop(each);
    }
  }

  dropRoot({ list, tree }: Root): void {
    this.dropList(list);
    for (const each of tree.splice(0)) {
      if (!this.#keepsOwner) each.inTree = undefined;
      this.drop(each);
    }
  }

  dropEntry(entry: Entry | undefined): void {
    if (entry === undefined) return;
    this.drop(entry.plain);
    this.drop(entry.node);
    this.dropRoot(entry.root);
  }

  /** Update from outside: what an element owns does not survive it. */
  updateTable(name: TableName, key: number): boolean {
    const table = this.tables[name];
    if (!table.has(key) && table.size === SLOTS) return false;
    this.dropEntry(table.get(key));
    table.set(key, { root: root() });
    return true;
  }

  deleteFromTable(name: TableName, key: number): boolean {
    const table = this.tables[name];
    this.dropEntry(table.get(key));
    return table.delete(key);
  }

  updateSlot(index: number): void {
    for (const kind of kinds) this.drop(this.slots[index]![kind]);
    this.slots[index] = {};
  }

  updateRoot(index: number): void {
    this.dropRoot(this.roots[index]!);
    this.roots[index] = root();
  }

  /** All maps go. */
  close(): void {
    for (let i = 0; i < SLOTS; i++) this.updateSlot(i);
    for (let i = 0; i < ROOTS; i++) this.updateRoot(i);
    for (const name of ['table', 'table_dynamic'] as const)
      for (const key of [...this.tables[name].keys()]) this.deleteFromTable(name, key);
  }
}

const outcome = (result: bigint | undefined, returnValue = PASS): Outcome => ({
  returnValue,
  result: result ?? NOTHING,
});

/** Exchange, and the displaced object dropped: its id. */
function put(model: OwnershipModel, place: Slot, kind: Kind, thing: OwnedThing | undefined): bigint | undefined {
  const was = place[kind];
  place[kind] = thing;
  if (was === undefined) return undefined;
  model.drop(was);
  return BigInt(was.id);
}

/** Out of a place. */
function take(place: Slot, kind: Kind): OwnedThing | undefined {
  const thing = place[kind];
  place[kind] = undefined;
  return thing;
}

function move(model: OwnershipModel, to: Slot, from: Slot, kind: Kind): Outcome {
  const thing = take(from, kind);
  return outcome(thing === undefined ? undefined : put(model, to, kind, thing));
}

/** `c`: bit 1 into the tree, else bit 0 at the end. A node that is in some list or tree already is given up. */
function insert(model: OwnershipModel, { list, tree }: Root, node: OwnedThing, c: number): bigint {
  if ((c & 2) !== 0) {
    if (node.inTree !== undefined) {
      model.drop(node);
      return REFUSED;
    }
    node.inTree = tree;
    tree.push(node);
    tree.sort((a, b) => a.id - b.id);
    return 0n;
  }
  if (node.inList !== undefined) {
    model.drop(node);
    return REFUSED;
  }
  node.inList = list;
  if ((c & 1) !== 0) list.push(node);
  else list.unshift(node);
  return 0n;
}

type Run = (model: OwnershipModel, a: number, b: number, c: number, id: number) => Outcome;

const make =
  (kind: Kind): Run =>
  (model, a, _b, _c, id) =>
    outcome(put(model, model.slots[a]!, kind, new OwnedThing(kind, id)));
const drop =
  (kind: Kind): Run =>
  (model, a) =>
    outcome(put(model, model.slots[a]!, kind, undefined));
const moveSlots =
  (kind: Kind): Run =>
  (model, a, b) =>
    move(model, model.slots[b]!, model.slots[a]!, kind);

/** With the object of that kind in slot a, which is there again afterwards. */
const holding =
  (kind: Kind, use: (model: OwnershipModel, thing: OwnedThing, b: number, c: number) => bigint | undefined): Run =>
  (model, a, b, c) => {
    const slot = model.slots[a]!;
    const thing = take(slot, kind);
    if (thing === undefined) return outcome(undefined);
    const result = use(model, thing, b, c);
    put(model, slot, kind, thing);
    return outcome(result);
  };

const inTable =
  (
    name: TableName,
    use: (model: OwnershipModel, entry: Entry, a: number, b: number, c: number, id: number) => Outcome,
  ): Run =>
  (model, a, b, c, id) => {
    const entry = model.tables[name].get(b);
    return entry === undefined ? outcome(0n, DROP) : use(model, entry, a, b, c, id);
  };

const plainTo = (name: TableName) => inTable(name, (model, entry, a) => move(model, entry, model.slots[a]!, 'plain'));
const nodeTo = (name: TableName) => inTable(name, (model, entry, a) => move(model, entry, model.slots[a]!, 'node'));
const insertInto = (name: TableName) =>
  inTable(name, (model, entry, a, _b, c) => {
    const node = take(model.slots[a]!, 'node');
    return outcome(node === undefined ? undefined : insert(model, entry.root, node, (c & 1) << 1));
  });
const stale = (name: TableName) =>
  inTable(name, (model, _entry, _a, b, _c, id) => {
    model.deleteFromTable(name, b);
    model.stale[name].push(new OwnedThing('plain', id));
    return outcome(undefined);
  });
const remove =
  (name: TableName): Run =>
  (model, _a, b) =>
    outcome(model.deleteFromTable(name, b) ? 0n : ABSENT);

function pop(model: OwnershipModel, list: OwnedThing[], a: number, end: boolean): Outcome {
  const node = end ? list.pop() : list.shift();
  if (node === undefined) return outcome(undefined);
  node.inList = undefined;
  put(model, model.slots[a]!, 'node', node);
  return outcome(BigInt(node.id));
}

const programs = {
  make_plain: make('plain'),
  make_node: make('node'),
  make_box: make('box'),
  drop_plain: drop('plain'),
  drop_node: drop('node'),
  drop_box: drop('box'),
  move_plain: moveSlots('plain'),
  move_node: moveSlots('node'),
  move_box: moveSlots('box'),
  churn: (_model, _a, _b, _c, id) => outcome(BigInt(id)),
  share_node: (model, a, b) => {
    const node = model.slots[a]!.node;
    if (node === undefined) return outcome(undefined);
    node.references++;
    return outcome(put(model, model.slots[b]!, 'node', node));
  },
  insert_node: (model, a, b, c) => {
    const node = take(model.slots[a]!, 'node');
    return outcome(node === undefined ? undefined : insert(model, model.roots[b]!, node, c));
  },
  insert_shared: (model, a, b, c) => {
    const node = model.slots[a]!.node;
    if (node === undefined) return outcome(undefined);
    node.references++;
    return outcome(insert(model, model.roots[b]!, node, c));
  },
  pop_list: (model, a, b, c) => pop(model, model.roots[b]!.list, a, (c & 1) !== 0),
  pop_tree: (model, a, b) => {
    const node = model.roots[b]!.tree.shift();
    if (node === undefined) return outcome(undefined);
    node.inTree = undefined;
    put(model, model.slots[a]!, 'node', node);
    return outcome(BigInt(node.id));
  },
  pop_twice: (model, _a, b) => {
    const node = model.roots[b]!.tree.shift();
    if (node === undefined) return outcome(undefined);
    node.inTree = undefined;
    model.drop(node);
    return outcome(BigInt(node.id));
  },
  fill_node: holding('node', (model, node, b) => {
    const plain = take(model.slots[b]!, 'plain');
    return plain === undefined ? undefined : putInside(model, node, plain);
  }),
  empty_node: holding('node', (model, node, b) => {
    const plain = node.inside;
    node.inside = undefined;
    return plain === undefined ? undefined : put(model, model.slots[b]!, 'plain', plain);
  }),
  fill_box: holding('box', (model, box, b) => {
    const plain = take(model.slots[b]!, 'plain');
    return plain === undefined ? undefined : putInside(model, box, plain);
  }),
  box_push: holding('box', (model, box, b) => {
    const node = take(model.slots[b]!, 'node');
    return node === undefined ? undefined : insert(model, { list: box.list, tree: [] }, node, 1);
  }),
  box_pop: holding('box', (model, box, b) => pop(model, box.list, b, false).result),
  plain_to_table: plainTo('table'),
  plain_to_table_dynamic: plainTo('table_dynamic'),
  node_to_table: nodeTo('table'),
  node_to_table_dynamic: nodeTo('table_dynamic'),
  insert_into_table: insertInto('table'),
  insert_into_table_dynamic: insertInto('table_dynamic'),
  stale_table: stale('table'),
  stale_table_dynamic: stale('table_dynamic'),
  delete_table: remove('table'),
  delete_table_dynamic: remove('table_dynamic'),
} as const satisfies Record<string, Run>;

function putInside(model: OwnershipModel, owner: OwnedThing, plain: OwnedThing): bigint | undefined {
  const was = owner.inside;
  owner.inside = plain;
  if (was === undefined) return undefined;
  model.drop(was);
  return BigInt(was.id);
}

export type Op = keyof typeof programs;
export const OPS = Object.keys(programs) as readonly Op[]; // the keys of the record

/** An open file description: what descriptors, direct descriptors and running requests share, until the last of them lets go. */
import type { Directory, File, Inode } from './file-system.ts';
import type { Pipe } from './pipe.ts';
import type { Socket } from './socket.ts';

/** Collects what is written; gives nothing. */
export interface Terminal {
  readonly written: Uint8Array[];
}

/** Another ring, or this one: where MSG_RING sends to. */
export interface MessageTarget {
  message(userLow: number, userHigh: number, result: number, flags: number): boolean;
  /** Puts a file into a slot of its direct descriptors, as SQEs number them; 0, the slot that was picked, or a negated errno. */
  receive(file: OpenFile, index: number): number;
}

export type OpenKind =
  | { readonly kind: 'file'; readonly inode: File }
  | { readonly kind: 'directory'; readonly inode: Directory }
  | { readonly kind: 'path'; readonly inode: Inode }
  | { readonly kind: 'pipe'; readonly pipe: Pipe }
  | { readonly kind: 'socket'; readonly socket: Socket }
  | { readonly kind: 'terminal'; readonly terminal: Terminal }
  | { readonly kind: 'ring'; readonly ring: MessageTarget };

export class OpenFile {
  readonly is: OpenKind;
  readonly readable: boolean;
  readonly writable: boolean;
  /** O_ flags that later matter: APPEND, NONBLOCK, DSYNC, DIRECT. */
  readonly flags: number;
  position = 0;
  /** Descriptors, direct descriptors and requests that have it. */
  users = 0;

  constructor(is: OpenKind, readable: boolean, writable: boolean, flags = 0) {
    this.is = is;
    this.readable = readable;
    this.writable = writable;
    this.flags = flags;
  }
}

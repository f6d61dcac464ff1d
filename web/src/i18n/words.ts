import type { en } from './en'

type AsText<Tree> = { readonly [Key in keyof Tree]: Tree[Key] extends string ? string : AsText<Tree[Key]> }

/** Every language has exactly the words that English has. */
export type Words = AsText<typeof en>

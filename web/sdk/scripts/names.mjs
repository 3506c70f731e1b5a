// Short names for the members that begin with an underscore, for esbuild's `mangleCache`: two that no object has both may share
// one letter, which esbuild by itself does not try.
import { readdirSync, readFileSync } from 'node:fs'
import ts from 'typescript'

/** Those first that the compressor meets anyway: terser gives them to what is local. */
const LETTERS = [...'teishrnaodlcupfygmwbkTvMSxNCABDEFGHIJKLOPQRUVWXYZjqz']

/** `{ _member: letter }` for the sources below `folder`. */
export function shortNames(folder, letters = LETTERS) {
  /** How often a member is named, and the kinds of objects that declare it. */
  const members = new Map()
  /** The classes and interfaces that each is made of. */
  const parents = new Map()
  const visit = (node, kind) => {
    if (ts.isClassDeclaration(node) || ts.isInterfaceDeclaration(node) || ts.isTypeLiteralNode(node) || ts.isObjectLiteralExpression(node)) {
      kind = node.name?.text ?? node
      const bases = (node.heritageClauses ?? []).flatMap(({ types }) => types.map(({ expression }) => expression.text))
      parents.set(kind, bases)
    }
    if (ts.isIdentifier(node) && /^_[a-z]/.test(node.text)) {
      const member = members.get(node.text) ?? { uses: 0, kinds: new Set() }
      members.set(node.text, member)
      member.uses++
      const { parent } = node
      if (parent.name === node && !ts.isPropertyAccessExpression(parent) && !ts.isBindingElement(parent)) member.kinds.add(kind)
    }
    ts.forEachChild(node, (child) => visit(child, kind))
  }
  for (const file of readdirSync(folder, { recursive: true }).sort()) {
    if (!file.endsWith('.ts') || /\.test\.|testing/.test(file)) continue
    visit(ts.createSourceFile(file, readFileSync(`${folder}/${file}`, 'utf8'), ts.ScriptTarget.ES2022, true))
  }

  const has = (kind, base) => kind === base || (parents.get(kind) ?? []).some((parent) => has(parent, base))
  /** Letters taken, by kind. */
  const taken = new Map([...parents.keys()].map((kind) => [kind, new Set()]))
  const names = {}
  for (const [name, { kinds }] of [...members].sort((one, two) => two[1].uses - one[1].uses)) {
    const sets = [...taken].filter(([kind]) => [...kinds].some((base) => has(kind, base))).map(([, letters]) => letters)
    const letter = letters.find((each) => sets.every((letters) => !letters.has(each)))
    if (!letter) continue
    names[name] = letter
    for (const letters of sets) letters.add(letter)
  }
  return names
}

import './around-rows.css'

export { Chips } from './chips.tsx'
export { Overview } from './overview.tsx'
export { Tools } from './tools.tsx'

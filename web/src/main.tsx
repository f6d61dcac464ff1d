import './design/base.css'

import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'

import { App } from './app/App'
import { startI18n } from './i18n'

const root = document.getElementById('root')
if (root === null) throw new Error('index.html has no element #root')

await startI18n()
createRoot(root).render(
  <StrictMode>
    <App />
  </StrictMode>,
)

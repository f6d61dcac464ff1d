import './PicturePanel.css'

import type { Drone } from '../api/feed'
import { useWords } from '../i18n'
import { useNow, useTimes } from '../words/clock'
import { agesOf, isStale } from './freshness'
import { useLivePicture } from './useLivePicture'

/** What the camera sees now, how old that is, and, unless it is to be brief, what the analysis makes of it. */
export function PicturePanel({ drone, brief }: { drone: Drone; brief: boolean }) {
  const { t, tag } = useWords()
  const { ago } = useTimes()
  const now = useNow()
  const name = drone.live.drone
  const picture = useLivePicture(name)
  const { eyes } = drone.live
  const { eyesS } = agesOf(drone, now)
  // The station knows when it received the picture; the analysis, which sends it, knows when it was taken.
  const ageS = Math.max(0, (now - picture.receivedAtMs) / 1000, eyesS ?? 0)
  const stale = picture.url !== null && isStale(ageS)
  const count = (value: number) => new Intl.NumberFormat(tag).format(value)

  return (
    <section className="picture" aria-label={t('picture.title')}>
      <div className={`picture__frame ${stale ? 'is-stale' : ''}`}>
        {picture.url === null ? (
          <p>{t(picture.interrupted ? 'picture.lost' : 'picture.waiting')}</p>
        ) : (
          <img src={picture.url} alt={t('picture.alt', { name })} />
        )}
        {picture.url !== null && (
          <span className={`picture__age ${stale ? 'is-stale' : ''}`}>
            {stale
              ? t('picture.stale', { age: ago(ageS) })
              : t('picture.age', { seconds: new Intl.NumberFormat(tag, { minimumFractionDigits: 1, maximumFractionDigits: 1 }).format(ageS) })}
          </span>
        )}
      </div>
      <p className="picture__note">{picture.url !== null && picture.interrupted ? t('picture.lost') : t('picture.logged')}</p>
      {eyes !== null && !(brief && eyes.camera === 'ready') && (
        <>
          <p className={`picture__camera is-${eyes.camera}`}>
            {t(`camera.${eyes.camera}`)}
            {eyes.camera_reason !== '' && <small>{eyes.camera_reason}</small>}
          </p>
          <dl className={`picture__figures ${isStale(eyesS) ? 'is-stale' : ''}`}>
            <Figure name={t('picture.people')} value={count(eyes.tracks.length)} />
            <Figure name={t('picture.peopleSoFar')} value={count(eyes.people_tracked)} />
            <Figure name={t('picture.incidents')} value={count(eyes.incidents_open)} />
          </dl>
          <p className="picture__note">
            {t('picture.analysed', { analysed: count(eyes.frames_analysed), dropped: count(eyes.frames_dropped) })}
          </p>
        </>
      )}
    </section>
  )
}

function Figure({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  )
}

// @ts-check

/**
 * A canvas's context, scaled to the screen's pixels.
 * @param {HTMLCanvasElement} canvas
 * @param {number} width CSS pixels
 * @param {number} height
 * @returns {CanvasRenderingContext2D|null}
 */
export function sized(canvas, width, height) {
  const scale = window.devicePixelRatio || 1
  const [w, h] = [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))]
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w
    canvas.height = h
    canvas.style.width = `${width}px`
    canvas.style.height = `${height}px`
  }
  const ctx = canvas.getContext('2d')
  ctx?.setTransform(scale, 0, 0, scale, 0, 0)
  return ctx
}

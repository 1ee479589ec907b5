// @ts-check
const answer = await fetch('api/v1/about');
const about = await answer.json();
const root = /** @type {HTMLElement} */ (document.getElementById('app'));
root.textContent = answer.ok ? `${about.title}: ${about.events} events of ${about.nodes.length} nodes` : `${about.error}: ${about.remedy}`;

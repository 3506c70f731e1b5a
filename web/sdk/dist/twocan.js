var e=class extends Error{constructor(n,t,l){super(t);this.code=n;this.retry=l}code;retry;name="TwocanError"};function d(o,r){return Promise.reject(new e("unreachable",`${String(o)} ${r.app}`))}export{e as TwocanError,d as connect};
//# sourceMappingURL=twocan.js.map

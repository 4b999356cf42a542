import { PlanDraft } from './plan-draft.js';
import type { PlanInput } from './plan-input.js';
import type { AccountedPlan } from './service-entry-plan.js';

/**
 * Plans what makes the cluster match. Pure: the same input gives the same plan, in whatever order it comes, and a plan that
 * was carried out leads to one without changes.
 *
 * ```
 * wanted entry, by the first row that holds      there is one of ours          there is none of ours
 * ---------------------------------------------  ----------------------------  --------------------------------
 * wanted twice                                   skipped duplicate             skipped duplicate
 * its validation finds anything                  skipped invalid               skipped invalid
 * its host is a name of the cluster              skipped kubernetes-service    skipped kubernetes-service
 * its namespace is missing                       skipped namespace-missing     skipped namespace-missing
 * ours is being deleted                          skipped being-deleted
 * somebody deleted ours just now                                               skipped deleted-by-others
 * foreign, same host, same namespace             delete foreign-entry-in-…     skipped host-in-namespace
 * foreign, same host, seen by the same clients   delete shadows-foreign-entry  skipped covered-by-foreign-entry
 * foreign wildcard over it, seen likewise        keep beside-foreign-entry     skipped covered-by-foreign-entry
 * ours for the host under another name                                         skipped host-in-namespace
 * foreign object under its name                                                skipped name-taken
 * the namespace binds entries to a waypoint                                    skipped namespace-uses-waypoint
 * a VirtualService or DestinationRule governs it                               skipped governed-by-others
 * another of ours covers it for all its clients  delete covered-by-own-entry   skipped covered-by-own-entry
 * no client would import it                                                    skipped not-imported
 * others give its ports other protocols          skipped protocol-conflict     skipped protocol-conflict
 * as it should be                                keep unchanged
 * others set fields of its spec                  skipped edited-by-others
 * it would narrow what something refers to       skipped still-referenced
 * it differs                                     update                        create
 *
 * entry of ours that is not wanted
 * ---------------------------------------------
 * foreign, as above                              as above
 * its host was decided against                   delete host-unwanted
 * another of ours covers it for all its clients  delete covered-by-own-entry
 * nobody decided                                 keep no-decision
 * ```
 *
 * Every delete closes the host's open connections, so it is late, rare and few at a time. None takes place while others
 * edit the entry (`edited-by-others`), while something refers to the host (`still-referenced`, `references-unknown`) that
 * nothing else declares, or while hosts below a wildcard have no entry of their own yet (`children-first`). Then it waits
 * (`deletion-waits`), unless ours and a foreign entry harm each other. Last come the limits of the policy.
 */
export function planServiceEntries(input: PlanInput): AccountedPlan {
  const draft = new PlanDraft(input);
  draft.addWanted();
  draft.addUnwanted();
  return draft.finish();
}

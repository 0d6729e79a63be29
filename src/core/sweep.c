/* SPDX-License-Identifier: ISC */
#include "core/sweep.h"

#include "base/log.h"

static void sweep_method_ended(void *arg, const struct js *report, const struct err *err)
{
	machine_ended(arg, report, err);
}

static void sweep_issuer_ended(void *arg, const struct issuer_answer *answer, const struct err *err)
{
	(void)answer;
	machine_ended(arg, NULL, err);
}

static void sweep_cancel_withdraw(void *arg, void *op)
{
	struct proof *p = arg;

	p->how->ops->cancel(op);
}

int sweep_put_off(struct order *o, const struct err *err)
{
	bool left = false;

	for (size_t i = 0; i < o->nproofs; i++)
		left |= proof_can_withdraw(&o->proofs[i]);
	if (!left)
		return MACHINE_FAIL;
	order_set_fail(o, err);
	o->sweep = 0;
	return ORDER_WITHDRAW;
}

/* One left-over per turn: what is published is withdrawn, what still hangs open at the CA deactivated (best effort), unless the order may yet go on. */
void sweep_begin(void *owner, struct machine *m)
{
	struct order *o = owner;

	while (o->sweep < 2 * o->nproofs) {
		struct proof *p = &o->proofs[o->sweep / 2];
		bool last = o->sweep++ % 2;

		if (!last && proof_can_withdraw(p)) {
			machine_pending(m, proof_withdraw(p, sweep_method_ended, machine_call(m)), sweep_cancel_withdraw, p);
			return;
		}
		if (last && p->open && m->state == ORDER_SWEEP) {
			p->open = false;
			order_pending(o, m, o->issuer->ops->deactivate(o->issuer, p->url, sweep_issuer_ended, machine_call(m)));
			return;
		}
	}
	machine_skip(m, o);
}

static void sweep_note(struct order *o, const struct err *err)
{
	struct proof *p = &o->proofs[(o->sweep - 1) / 2];

	if (o->sweep % 2 == 0)
		return; /* it was the CA's part: authorizations end by themselves */
	if (err->kind == ERR_NONE)
		p->published = false;
	else
		log_warning("a proof could not be withdrawn; it will be tried again", "cert", o->cert->name, "name", p->name, "method", p->method,
			"error", err->detail, NULL);
}

/* true: there may be more. */
static bool sweep_goes_on(struct order *o, struct machine *m, const void *answer, const struct err *err)
{
	if (answer == o)
		return false;
	sweep_note(o, err);
	m->wait_ms = 0;
	return !m->late;
}

int sweep_withdraw_ended(void *owner, struct machine *m, const void *answer, struct err *err)
{
	struct order *o = owner;

	if (sweep_goes_on(o, m, answer, err))
		return MACHINE_AGAIN;
	*err = o->fail;
	return MACHINE_FAIL;
}

int sweep_ended(void *owner, struct machine *m, const void *answer, struct err *err)
{
	struct order *o = owner;

	if (sweep_goes_on(o, m, answer, err))
		return MACHINE_AGAIN;
	*err = o->fail;
	order_forget(o);
	return err->kind == ERR_NONE ? (int)ORDER_CREATE : MACHINE_FAIL;
}

/*
 * See uring.h. A prepare watcher of the highest priority, so that whoever frees closed conns before
 * the loop sleeps does so afterwards.
 */
#include "lb/io/uring.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	COMPLETIONS = 4096,  /* of the completion queue */
	ROUNDS_IN_A_ROW = 8, /* then timers and other watchers have their turn */
	POINTER_BITS = 48,   /* of an address in user space; above it a generation, in */
	TAG_MASK = 7,        /* its lowest bits a tag */
};

static const uint8_t allowed[] = {
	IORING_OP_RECV,
	IORING_OP_SEND,
	IORING_OP_POLL_ADD,
	IORING_OP_CONNECT,
	IORING_OP_ASYNC_CANCEL,
	IORING_OP_CLOSE,
};

/* Chunks that the kernel receives into. */

static void
give_chunk(struct ring *ring, struct ring_group *group, unsigned number)
{
	struct chunk *chunk = group->get(&ring->io->chunks);
	group->chunks[number] = chunk;
	if (!chunk) {
		group->missing++;
		return;
	}
	io_uring_buf_ring_add(group->buffers, chunk->bytes, (unsigned)chunk->size,
		(unsigned short)(group->first + number), (int)group->count - 1, 0);
	io_uring_buf_ring_advance(group->buffers, 1);
}

static struct chunk *
take_chunk(struct ring *ring, unsigned number, int len)
{
	struct ring_group *group = &ring->groups[number < RING_CHUNKS ? RING_PLAIN : RING_STREAM];
	number -= group->first;
	struct chunk *chunk = group->chunks[number];
	give_chunk(ring, group, number);
	chunk->len = len > 0 ? (size_t)len : 0;
	return chunk;
}

static void
give_missing(struct ring *ring, struct ring_group *group)
{
	if (!group->missing)
		return;
	group->missing = 0;
	for (unsigned i = 0; i < group->count; i++) {
		if (!group->chunks[i])
			give_chunk(ring, group, i);
	}
}

/* Operations. */

void
ring_submit(struct ring *ring)
{
	io_uring_submit(&ring->uring);
}

struct io_uring_sqe *
ring_prepare(struct ring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);
	while (!sqe) {
		ring_submit(ring);
		sqe = io_uring_get_sqe(&ring->uring);
	}
	return sqe;
}

static uint64_t
name_of(const struct conn *conn, enum ring_tag tag)
{
	return (uint64_t)conn->ring.generation << POINTER_BITS | (uintptr_t)conn | tag;
}

static uint64_t
name_of_send(const struct chunk *chunk)
{
	return (uintptr_t)chunk | RING_SEND;
}

void
ring_expect(struct io_uring_sqe *sqe, struct conn *conn, enum ring_tag tag)
{
	conn->ring.pending++;
	sqe->user_data = name_of(conn, tag);
}

void
ring_expect_sent(struct io_uring_sqe *sqe, struct chunk *chunk)
{
	sqe->user_data = name_of_send(chunk);
}

void
ring_ignore(struct io_uring_sqe *sqe)
{
	sqe->user_data = RING_NOTHING;
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
}

static void
cancel(struct ring *ring, uint64_t name)
{
	struct io_uring_sqe *sqe = ring_prepare(ring);
	io_uring_prep_cancel64(sqe, name, 0);
	ring_ignore(sqe);
}

void
ring_cancel(struct ring *ring, const struct conn *conn, enum ring_tag tag)
{
	cancel(ring, name_of(conn, tag));
}

void
ring_cancel_send(struct ring *ring, const struct chunk *chunk)
{
	cancel(ring, name_of_send(chunk));
}

struct sockaddr_storage *
ring_address(struct ring *ring, const struct io_uring_sqe *sqe)
{
	return &ring->addresses[sqe - ring->uring.sq.sqes];
}

void
ring_look_at(struct ring *ring, struct conn *conn)
{
	if (conn->ring.due)
		return;
	conn->ring.due = true;
	conn->ring.next_due = NULL;
	if (ring->due)
		ring->due_last->ring.next_due = conn;
	else
		ring->due = conn;
	ring->due_last = conn;
}

static void
look_at_all(struct ring *ring)
{
	while (ring->due) {
		struct conn *conn = ring->due;
		ring->due = conn->ring.next_due;
		conn->ring.due = false;
		if (conn->fd >= 0)
			ring->look(conn);
	}
}

/* Completions. */

static void
complete(struct ring *ring, uint64_t user_data, int result, unsigned flags)
{
	enum ring_tag tag = user_data & TAG_MASK;
	void *owner = (void *)(uintptr_t)(user_data & ((UINT64_C(1) << POINTER_BITS) - 1) &
					  ~(uint64_t)TAG_MASK);
	struct chunk *chunk = NULL;
	if (flags & IORING_CQE_F_BUFFER)
		chunk = take_chunk(ring, flags >> IORING_CQE_BUFFER_SHIFT, result);
	if (tag == RING_SEND) {
		ring->sent(owner, result);
		return;
	}
	if (tag == RING_NOTHING)
		return;
	struct conn *conn = owner;
	conn->ring.pending--;
	if (conn->fd >= 0 && conn->ring.generation == user_data >> POINTER_BITS) {
		conn->ring.has_more = flags & IORING_CQE_F_SOCK_NONEMPTY;
		ring->complete(conn, tag, result, chunk);
	} else
		chunk_put(chunk);
}

static void
complete_all(struct ring *ring)
{
	struct io_uring_cqe *cqe;
	while (io_uring_peek_cqe(&ring->uring, &cqe) == 0) {
		uint64_t user_data = cqe->user_data;
		int result = cqe->res;
		unsigned flags = cqe->flags;
		io_uring_cqe_seen(&ring->uring, cqe);
		complete(ring, user_data, result, flags);
	}
}

static bool
has_work(struct ring *ring)
{
	return ring->due || io_uring_sq_ready(&ring->uring) || io_uring_cq_ready(&ring->uring) ||
	       (atomic_load_explicit(
			(_Atomic unsigned *)ring->uring.sq.kflags, memory_order_relaxed) &
		       (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW));
}

/* While it works nothing need wake it. What came up in between is seen by has_work: the fence
 * stands against the kernel's, which notes it before it looks whether to wake. */
static void
on_turn(struct ev_loop *loop, ev_prepare *turn, int ready)
{
	(void)ready;
	struct ring *ring = turn->data;
	ev_idle_stop(loop, &ring->again);
	for (unsigned i = 0; i < RING_GROUPS; i++)
		give_missing(ring, &ring->groups[i]);
	for (int round = 0; has_work(ring); round++) {
		if (round == ROUNDS_IN_A_ROW) {
			ev_idle_start(loop, &ring->again);
			return;
		}
		io_uring_cq_eventfd_toggle(&ring->uring, false);
		look_at_all(ring);
		io_uring_submit_and_get_events(&ring->uring);
		complete_all(ring);
		ring->round++;
		io_uring_cq_eventfd_toggle(&ring->uring, true);
		atomic_thread_fence(memory_order_seq_cst);
	}
}

static void
on_again(struct ev_loop *loop, ev_idle *again, int ready)
{
	(void)loop;
	(void)again;
	(void)ready;
}

/* The turn that follows does what there is to do. */
static void
on_wake(struct ev_loop *loop, ev_io *wake, int ready)
{
	(void)loop;
	(void)ready;
	struct ring *ring = wake->data;
	uint64_t count;
	while (read(ring->wake_fd, &count, sizeof(count)) < 0 && errno == EINTR)
		;
}

/* Beginning and end. */

/* By the system call: Debian 12's library does not export io_uring_register_restrictions(3), nor
 * io_uring_enable_rings. */
static int
restrict_operations(struct ring *ring)
{
	struct io_uring_restriction list[sizeof(allowed) + 1] = {0};
	unsigned count = 0;
	for (size_t i = 0; i < sizeof(allowed); i++) {
		list[count].opcode = IORING_RESTRICTION_SQE_OP;
		list[count++].sqe_op = allowed[i];
	}
	list[count].opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
	list[count++].sqe_flags = IOSQE_BUFFER_SELECT | IOSQE_CQE_SKIP_SUCCESS;
	return io_uring_register(
		(unsigned)ring->uring.ring_fd, IORING_REGISTER_RESTRICTIONS, list, count);
}

static size_t
buffers_size(const struct ring_group *group)
{
	return group->count * sizeof(struct io_uring_buf);
}

static int
register_group(struct ring *ring, enum ring_group_number number)
{
	struct ring_group *group = &ring->groups[number];
	void *buffers = mmap(NULL, buffers_size(group), PROT_READ | PROT_WRITE,
		MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
	if (buffers == MAP_FAILED)
		return -errno;
	group->buffers = buffers;
	io_uring_buf_ring_init(group->buffers);
	struct io_uring_buf_reg registration = {
		.ring_addr = (uintptr_t)buffers,
		.ring_entries = group->count,
		.bgid = (uint16_t)number,
	};
	return io_uring_register_buf_ring(&ring->uring, &registration, 0);
}

static void
free_groups(struct ring *ring)
{
	for (unsigned i = 0; i < RING_GROUPS; i++) {
		if (ring->groups[i].buffers)
			munmap(ring->groups[i].buffers, buffers_size(&ring->groups[i]));
	}
}

static int
set_up(struct ring *ring)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			 IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE,
		.cq_entries = COMPLETIONS,
	};
	int error = io_uring_queue_init_params(RING_ENTRIES, &ring->uring, &params);
	if (error < 0)
		return error;
	for (unsigned i = 0; i < RING_GROUPS && error == 0; i++)
		error = register_group(ring, i);
	if (error == 0)
		error = io_uring_register_eventfd(&ring->uring, ring->wake_fd);
	if (error == 0)
		error = restrict_operations(ring);
	if (error < 0) {
		io_uring_queue_exit(&ring->uring);
		free_groups(ring);
	}
	return error;
}

int
ring_init(struct io *io)
{
	struct ring *ring = calloc(1, sizeof(*ring));
	if (!ring)
		return -1;
	ring->io = io;
	ring->groups[RING_PLAIN] =
		(struct ring_group){.chunks = ring->chunks, .count = RING_CHUNKS, .get = chunk_get};
	ring->groups[RING_STREAM] = (struct ring_group){
		.chunks = ring->chunks + RING_CHUNKS,
		.first = RING_CHUNKS,
		.count = RING_LARGE,
		.get = chunk_get_large,
	};
	ring->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	int error = ring->wake_fd < 0 ? -errno : set_up(ring);
	if (error < 0) {
		if (ring->wake_fd >= 0)
			close(ring->wake_fd);
		free(ring);
		errno = -error;
		return -1;
	}
	io->ring = ring;
	for (unsigned i = 0; i < RING_GROUPS; i++) {
		ring->groups[i].missing = ring->groups[i].count;
		give_missing(ring, &ring->groups[i]);
	}
	ev_io_init(&ring->wake, on_wake, ring->wake_fd, EV_READ);
	ring->wake.data = ring;
	ev_idle_init(&ring->again, on_again);
	ev_prepare_init(&ring->turn, on_turn);
	ev_set_priority(&ring->turn, EV_MAXPRI);
	ring->turn.data = ring;
	return 0;
}

int
ring_start(struct io *io)
{
	struct ring *ring = io->ring;
	int error = io_uring_register(
		(unsigned)ring->uring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
	if (error < 0) {
		errno = -error;
		return -1;
	}
	ev_io_start(io->loop, &ring->wake);
	ev_prepare_start(io->loop, &ring->turn);
	ev_unref(io->loop); /* they keep no loop running */
	ev_unref(io->loop);
	return 0;
}

void
ring_fini(struct io *io)
{
	struct ring *ring = io->ring;
	if (ev_is_active(&ring->turn)) {
		ev_ref(io->loop);
		ev_ref(io->loop);
	}
	ev_prepare_stop(io->loop, &ring->turn);
	ev_idle_stop(io->loop, &ring->again);
	ev_io_stop(io->loop, &ring->wake);
	io_uring_queue_exit(&ring->uring);
	free_groups(ring);
	for (unsigned i = 0; i < RING_CHUNKS + RING_LARGE; i++)
		chunk_put(ring->chunks[i]);
	close(ring->wake_fd);
	free(ring);
	io->ring = NULL;
}

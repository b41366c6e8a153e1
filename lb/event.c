/*
 * See event.h.
 */
#include "lb/event.h"

#include "lb/event_ring.h"

#include <pthread.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* for the ring */
static struct event_ring ring;

void
event_begin(struct event *event, enum log_level level, const char *name)
{
	log_begin(&event->logged, level, name);
	log_begin_as(&event->kept, LOG_JSON, level, name);
}

void
event_text(struct event *event, const char *key, const char *value)
{
	log_text(&event->logged, key, value);
	log_text(&event->kept, key, value);
}

void
event_number(struct event *event, const char *key, uint64_t value)
{
	log_number(&event->logged, key, value);
	log_number(&event->kept, key, value);
}

void
event_end(struct event *event)
{
	log_end(&event->logged);
	log_finish(&event->kept);
	pthread_mutex_lock(&mutex);
	event_ring_push(&ring, event->kept.text, event->kept.len);
	pthread_mutex_unlock(&mutex);
}

uint64_t
event_count(void)
{
	pthread_mutex_lock(&mutex);
	uint64_t count = ring.count;
	pthread_mutex_unlock(&mutex);
	return count;
}

size_t
event_read(uint64_t number, char text[LOG_LINE_MAX])
{
	pthread_mutex_lock(&mutex);
	size_t len = event_ring_read(&ring, number, text);
	pthread_mutex_unlock(&mutex);
	return len;
}

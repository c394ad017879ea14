/* For tests. */
#ifndef PNEUMO_EXCHANGE_EVENT_FILE_INTERNAL_H
#define PNEUMO_EXCHANGE_EVENT_FILE_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

/* The checksum CRC-32C (Castagnoli; RFC 3720, appendix B.4) of bytes[size]. */
uint32_t pd_event_file_checksum(const void *bytes, size_t size);

#endif
